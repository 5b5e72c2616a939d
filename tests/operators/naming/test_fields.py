def test_fields_whose_masks_were_made_here_come_first(photos):
    import fiftyone as fo

    import fiftyone_promerge as fop
    from fiftyone_promerge.operators.naming.fields import masks_fields

    for sample in photos:
        sample["drawn"] = fo.Detections(detections=[])
        sample.save()
    model = fop.load_model("embedded", image_size=240)
    fop.generate_masks(photos, model, "promerge", num_workers=0)
    assert masks_fields(photos) == ["promerge", "drawn"]
