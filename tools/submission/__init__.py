"""Submission files of this pipeline or another's: checked, blended, compared.

    python -m tools.submission check FILE [--sample SAMPLE] [--min-area N]
    python -m tools.submission blend A B:2 [C ...] --out FILE [--votes N]
    python -m tools.submission compare A B

check    names every fault with its line (the header is line 1). Then it tells how many masks are
         not empty and how large they are. The exit status is 1 where there is a fault.
blend    lets the files vote on every pixel. A pixel is nerve where more than half of the votes say
         so, or at least --votes of them. B:2 has two votes. All files must name the same images;
         the rows of the result stand in the order of the first file.
compare  tells how far two files agree, and which images differ most.

A submission is a .csv with the columns img,pixels, or img,class_id,pixels where there are several
classes. It has a row for each image (and class): run lengths, or nothing for an empty mask. All
images have one size, 420x580 unless --height and --width give another.

Begin with check.py. rows.py reads a file, faults.py tells what is wrong with it.
"""
