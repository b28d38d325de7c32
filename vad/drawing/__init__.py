"""Pictures for people: contact sheets of regions, heat maps of scores. Imports `store`.

`overlays` draws into pictures; `paper` lays out pictures and texts on a sheet; `clip_pictures` and
`clip_figures` make the contents of a `contact_sheet`; `heatmaps` draws maps of scores over frames;
`strips` draws the scores of many clips over time.
"""
