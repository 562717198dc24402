//! Figures: what is drawn, that it reads well as text, and that the same numbers give the same bytes.

mod samples;

use std::path::PathBuf;

use pentimento::figure::{Figure, FigureSpec, Panels, Rendered, Shares, Theme, Width, render};
use pentimento::measure::{DecayAxis, Strength};
use pentimento::provenance::Provenance;
use samples::measured;

fn provenance() -> Provenance {
    Provenance::here("pentimento figure")
}

fn drawn(spec: &FigureSpec) -> Rendered {
    render(spec, &measured(spec.figure), &provenance()).unwrap()
}

/// The finished figures stay here, for looking at.
fn gallery() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("figures")
}

#[test]
fn every_figure_is_drawn_at_every_width() {
    for figure in Figure::ALL {
        for width in [Width::Single, Width::Double] {
            let spec = FigureSpec { width, ..FigureSpec::new(figure) };
            let rendered = drawn(&spec);
            rendered.write(&gallery(), &format!("{}-{width}", figure.name()), true).unwrap();
            assert!(rendered.svg.contains(&format!("width=\"{}pt\"", width.points())), "{}", figure.name());
        }
    }
}

#[test]
fn options_change_the_figure() {
    let variants = [
        ("cleanup-heads", FigureSpec { options: options(|o| o.panels = Panels::Heads), ..FigureSpec::new(Figure::Cleanup) }),
        ("cleanup-energy", FigureSpec { options: options(|o| o.strength = Strength::RemovedEnergy), ..FigureSpec::new(Figure::Cleanup) }),
        ("cleanup-window", FigureSpec { options: options(|o| o.decay = DecayAxis::WindowRetention), ..FigureSpec::new(Figure::Cleanup) }),
        ("cleanup-dark", FigureSpec { theme: Theme::Dark, title: Some("Bundled model".to_owned()), ..FigureSpec::new(Figure::Cleanup) }),
        ("cleanup-grey", FigureSpec { theme: Theme::Grey, ..FigureSpec::new(Figure::Cleanup) }),
        ("allocation-lines", FigureSpec { options: options(|o| o.shares = Shares::Lines), ..FigureSpec::new(Figure::Allocation) }),
        ("allocation-grey", FigureSpec { theme: Theme::Grey, ..FigureSpec::new(Figure::Allocation) }),
        ("readout-grey", FigureSpec { theme: Theme::Grey, ..FigureSpec::new(Figure::Readout) }),
        ("accuracy-grey", FigureSpec { theme: Theme::Grey, ..FigureSpec::new(Figure::Accuracy) }),
        ("recall-grey", FigureSpec { theme: Theme::Grey, ..FigureSpec::new(Figure::Recall) }),
    ];
    for (name, spec) in variants {
        let rendered = drawn(&spec);
        rendered.write(&gallery(), name, true).unwrap();
        assert_ne!(rendered.svg, drawn(&FigureSpec::new(spec.figure)).svg, "{name}");
    }
}

fn options(change: impl FnOnce(&mut pentimento::figure::Options)) -> pentimento::figure::Options {
    let mut options = pentimento::figure::Options::default();
    change(&mut options);
    options
}
