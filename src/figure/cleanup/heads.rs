//! One panel per layer: the rank correlation inside each head, over the band of shuffled gates.

use super::{CleanupData, HeadPoint};
use crate::figure::axes::{Frame, LABEL_ROOM, Panel};
use crate::figure::legend::{self, Key, Swatch};
use crate::figure::scale::Scale;
use crate::figure::scene::{Marker, Rect, Scene};
use crate::figure::{Estimate, FigureSpec, sheet};

pub(super) fn draw(data: &CleanupData, spec: &FigureSpec) -> Scene {
    let layers: Vec<&[HeadPoint]> = data.heads.chunk_by(|head, next| head.id.layer == next.id.layer).collect();
    let most = if spec.width.points() > 300.0 { 4 } else { 2 };
    let rows = layers.len().div_ceil(most).max(1);
    let columns = layers.len().div_ceil(rows).max(1);
    let height = 34.0 + 72.0 * rows as f64;
    let (mut scene, room) = sheet(spec, height / spec.width.points());
    let (line, fill) = spec.theme.null(0);
    let keys = [
        Key::new("inside the head", Swatch::Point(spec.theme.accent(), Marker::Disc)),
        Key::new("shuffled γ", Swatch::Band(fill, line, None)),
    ];
    let top = legend::height(&keys, room.width);
    legend::draw(&mut scene, room.left, room.top, room.width, &keys);
    let body = Rect::new(room.left, room.top + top, room.width, room.height - top);

    let values = data.heads.iter().flat_map(|head| head.rho.iter().chain(&head.rho_shuffled)).flat_map(Estimate::reach);
    let y = Scale::around(values, &[0.0, 0.2, -0.2]);
    let named = Frame { y_label: "Spearman’s ρ".to_owned(), ..Frame::default() };
    let labels = [Panel::left_room(body.height / rows as f64, y, &named), LABEL_ROOM];
    for (index, (tile, heads)) in body.tiles_beside(columns, rows, [7.0, 4.0], labels).into_iter().zip(layers).enumerate() {
        let (row, column) = (index / columns, index % columns);
        let frame = Frame {
            title: format!("layer {}", heads[0].id.layer),
            x_label: if row + 1 == rows { "head".to_owned() } else { String::new() },
            y_label: if column == 0 { named.y_label.clone() } else { String::new() },
            x_names: thinned_names(heads),
            bare_y: column > 0,
            ..Frame::default()
        };
        let panel = Panel::fit(tile, Scale::linear(-0.6, heads.len() as f64 - 0.4), y, frame);
        draw_layer(&mut scene, &panel, heads);
    }
    scene
}

fn draw_layer(scene: &mut Scene, panel: &Panel, heads: &[HeadPoint]) {
    let (line, fill) = scene.theme.null(0);
    let (accent, ink) = (scene.theme.accent(), scene.theme.ink());
    panel.grid(scene);
    panel.level(scene, 0.0, ink, None);
    for (place, head) in heads.iter().enumerate() {
        let x = place as f64;
        if let Some(Estimate { value, interval }) = head.rho_shuffled {
            let [low, high] = interval.unwrap_or([value, value]);
            panel.band(scene, &[[x - 0.32, low, high], [x + 0.32, low, high]], fill);
            panel.line(scene, &[[x - 0.32, value], [x + 0.32, value]], line, 0.8, None);
        }
        if let Some(rho) = head.rho {
            if let Some(interval) = rho.interval {
                panel.interval(scene, x, interval, accent, 0.0);
            }
            scene.marker(Marker::Disc, panel.at(x, rho.value), 1.9, accent);
        }
    }
    panel.axes(scene);
}

/// Head numbers, thinned so that they do not touch.
fn thinned_names(heads: &[HeadPoint]) -> Vec<String> {
    let every = heads.len().div_ceil(8).max(1);
    heads.iter().enumerate().map(|(n, head)| if n % every == 0 { head.id.head.to_string() } else { String::new() }).collect()
}
