"""Pictures for people: contact sheets of regions, heat maps of errors. Imports `store`.

overlays draws into a picture; paper lays pictures and texts out on a sheet; clip_pictures and clip_figures
make the contents of a contact_sheet; heatmaps draws maps of scores over frames.
"""
