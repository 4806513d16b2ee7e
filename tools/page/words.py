"""The terms of the page, each explained where a reader points at it."""

WORDS = {
    "IoU": "Intersection over union: the pixels that the true and the predicted mask share, divided"
    " by the pixels that either of them covers. 1 is perfect. Two empty masks count 1, one empty "
    "mask counts 0.",
    "Dice": "Twice the shared pixels, divided by the pixels of both masks together: the "
    "competition's score. Two empty masks count 1, one empty mask counts 0.",
    "out of fold": "Each image is predicted by the network that was trained without it, without "
    "its subject and without its near-duplicates.",
    "nested": "The rule that turns probabilities into masks was chosen without the images that it "
    "is scored on.",
    "all-empty": "The score of an empty mask for every image: what doing nothing is worth.",
    "interval": "95 % interval: where the mean could lie with other people like these. It is a "
    "bootstrap over subjects, because frames of one person are near-copies.",
    "presence": "How certain the network is that an image shows a nerve at all, from 0 to 1.",
    "gate": "An image whose presence is below the gate gets an empty mask.",
    "threshold": "A pixel whose probability is above the threshold belongs to the mask.",
    "area floor": "A mask that covers a smaller share of the image is replaced by an empty one.",
    "false alarm": "A mask where there is no nerve.",
    "missed": "No mask where there is a nerve.",
    "leak": "Pictures or people that a network is scored on were also in its training images. The "
    "scores are too high.",
    "contradictory twins": "Nearly the same picture twice, with different labels.",
    "precision": "Of the pixels that were marked, the share that is nerve.",
    "sensitivity": "Of the nerve's pixels, the share that was marked.",
    "specificity of presence": "Of the images without a nerve, the share that gets no mask.",
    "HD95": "Between the boundaries of both masks: 95 % of their pixels have one of the other "
    "within this distance.",
    "ASSD": "The mean distance from a boundary pixel of one mask to the other's boundary.",
    "NSD": "The share of both boundaries that has the other's within the tolerance.",
    "centroids apart": "How far the centre of the mask is from the true centre.",
    "area error": "The mask's area less the true area: below 0 it is too small.",
    "neither empty": "Pairs of a true and a predicted mask that both have pixels: no value of "
    "theirs is made up.",
    "margin": "How much less than a reader the network may score and still count as good: the "
    "setting reader_margin. Not inferior: the whole interval lies above minus the margin.",
    "kappa": "Cohen's kappa: how far two agree on which images show a nerve, beyond what chance "
    "alone gives. 1 is always, 0 is chance.",
    "cost": "How much the mean over all images would rise if this subject scored the mean.",
    "hash": "The first 16 digits of the file's SHA-256: files with the same digits have the same "
    "content.",
    "expected score": "What a mask can be expected to score, told without its truth: the network's "
    "own map says how much of the mask is nerve, and a curve learnt from the other folds corrects "
    "it.",
    "unlike": "The share of the training images that are less unlike the others than this image "
    "is, by the features of the network's encoder.",
    "referred": "Shown to a person instead of being trusted: the images of least expectation.",
    "calibration error": "The mean distance between what was predicted and what is true.",
}
