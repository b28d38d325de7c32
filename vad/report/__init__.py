"""The report: a page that shows what a run found, with pictures and videos, for people who did not make it.

    files of the stages -> contents -> page
                        -> media

`contents` says what the page shows; `gather` reads it from the files of the stages; `media` draws pictures
and videos of the clips; `page` writes the page, which opens from the disk. Imports the packages up to
`validation`.
"""
