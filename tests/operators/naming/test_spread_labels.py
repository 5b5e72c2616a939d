def test_a_few_labels_are_spread_and_the_doubtful_are_shown(app, grouped):
    for sample, label in ((grouped.first(), "red"), (grouped.last(), "blue")):
        sample.promerge.detections[0].label = label
        sample.save()
    invocations, result = app.run(
        "spread_labels", grouped, {"label_field": "promerge", "threshold": 0}
    )
    assert (result["labelled"], result["spread"], result["doubtful"]) == (2, 7, 0)
    assert "Show the most doubtful masks" in str(invocations)
    assert grouped.count_values("promerge.detections.label") == {"red": 6, "blue": 3}


def test_without_labels_it_says_so(app, grouped):
    _, result = app.run("spread_labels", grouped, {"label_field": "promerge"})
    assert "labels can be spread where at least two are set" in result["error"]
