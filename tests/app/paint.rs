//! Drawing helpers by their numbers: what is picked, what is counted, what an axis says.

use egui::{Color32, Pos2, Rect, pos2, vec2};
use pentimento::app::paint::chart::Chart;
use pentimento::app::paint::points::PointCloud;
use pentimento::app::paint::signed::Signed;
use pentimento::app::panel::timeline::View;
use pentimento::figure::Theme;
use pentimento::figure::axes::Frame;
use pentimento::figure::colour::Gradient;
use pentimento::figure::scale::Scale;

#[test]
fn the_nearest_point_is_picked_as_brute_force_would() {
    let places: Vec<Pos2> = (0..500).map(|i| pos2((i * 37 % 211) as f32, (i * 53 % 197) as f32)).collect();
    let cloud = PointCloud::new(places.clone(), 2.0, |_| Color32::RED);
    for pointer in [pos2(0.0, 0.0), pos2(100.3, 99.1), pos2(210.0, 196.0), pos2(63.0, 8.5)] {
        let brute = places.iter().map(|place| place.distance(pointer)).fold(f32::INFINITY, f32::min);
        let found = cloud.nearest(pointer).map(|index| places[index].distance(pointer));
        assert_eq!(found, (brute <= 8.0).then_some(brute));
    }
    assert_eq!(cloud.nearest(pos2(-50.0, -50.0)), None);
    let brush = Rect::from_min_size(pos2(20.0, 20.0), vec2(40.0, 60.0));
    let inside: Vec<usize> = cloud.inside(brush).collect();
    assert_eq!(inside, (0..500).filter(|i| brush.contains(places[*i])).collect::<Vec<_>>());
}

#[test]
fn points_that_are_nowhere_are_neither_drawn_nor_found() {
    let cloud = PointCloud::new(vec![pos2(f32::NAN, 1.0), pos2(5.0, 5.0)], 2.0, |_| Color32::RED);
    assert_eq!(cloud.nearest(pos2(4.0, 4.0)), Some(1));
    assert_eq!(cloud.inside(Rect::EVERYTHING).collect::<Vec<_>>(), [1]);
}

#[test]
fn numbers_under_the_pointer_are_those_drawn_there() {
    for (x, y) in [(Scale::linear(0.0, 2.0), Scale::linear(-1.0, 1.0)), (Scale::logit_around([0.2, 0.99]), Scale::log_around([0.001, 5.0]))]
    {
        let chart = Chart::fit(Rect::from_min_size(pos2(10.0, 20.0), vec2(400.0, 300.0)), Theme::Light, x, y, Frame::default());
        for (px, py) in [(0.5, 0.1), (0.9, 0.7)] {
            let [back_x, back_y] = chart.numbers(chart.at(px, py));
            assert!((back_x - px).abs() < 1e-3 && (back_y - py).abs() < 1e-2 * py.abs().max(0.1), "{px} {py} -> {back_x} {back_y}");
        }
    }
}

#[test]
fn signed_colours_are_symmetric_about_zero_and_mark_what_is_not_a_number() {
    let signed = Signed::new(2.0, Gradient::RedBlue);
    assert_eq!(signed.index(0.0), Some(128));
    assert_eq!((signed.index(-2.0), signed.index(2.0), signed.index(1e9)), (Some(0), Some(255), Some(255)));
    assert_eq!((signed.index(f32::NAN), signed.index(f32::INFINITY)), (None, None));
    assert!((Signed::new(0.0, Gradient::RedBlue).largest - 1.0).abs() < 1e-12, "a memory of zeros has a scale");
}

#[test]
fn a_log_odds_axis_names_shares_in_order() {
    let scale = Scale::logit_around([0.3, 0.97]);
    let (from, to) = scale.ends();
    assert!(from <= 0.3 && to >= 0.97 && from > 0.0 && to < 1.0);
    let ticks = scale.ticks(6);
    assert!(ticks.major.len() >= 3 && ticks.major.windows(2).all(|pair| pair[0].value < pair[1].value));
    assert!((scale.value(scale.place(0.9)) - 0.9).abs() < 1e-9);
    assert!(scale.place(1.0) <= 1.0 && scale.place(0.0) >= 0.0);
}

#[test]
fn the_timeline_follows_the_step_and_stays_inside() {
    let view = View { span: Some(20.0), from: 5.0, ..View::default() };
    assert_eq!(view.window(100), [5.0, 25.0]);
    assert_eq!(view.showing(10, 100), view, "a step that is shown moves nothing");
    let moved = view.showing(60, 100).window(100);
    assert!(moved[0] <= 60.0 && moved[1] >= 61.0);
    assert_eq!(View { from: 1e9, ..view }.window(100), [80.0, 100.0]);
    assert_eq!(View::default().window(64), [0.0, 64.0]);
    assert_eq!(View { span: Some(0.0), ..view }.window(3), [0.0, 3.0]);
}
