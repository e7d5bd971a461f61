//! Where a name covers least of what is drawn.

use super::frame::{Frame, LETTERS};
use plotters::style::text_anchor::{HPos, VPos};

/// A pixel.
pub type Pixel = (i32, i32);

/// Where a name may stand: a pixel, and which corner of the name that is.
pub type Spot = (Pixel, (HPos, VPos));

/// How wide a letter is on average, and how high.
const LETTER: (f64, i32) = (LETTERS / 1.24 * 0.55, 14);

/// The pixels that a name takes: left, top, right and bottom.
type Area = [i32; 4];

/// What is drawn so far.
#[derive(Default)]
pub struct Crowd {
    pixels: Vec<Pixel>,
    names: Vec<Area>,
}

fn area(text: &str, ((x, y), (h, v)): Spot) -> Area {
    let width = (text.chars().count() as f64 * LETTER.0).ceil() as i32;
    let left = match h {
        HPos::Left => x,
        HPos::Center => x - width / 2,
        HPos::Right => x - width,
    };
    let top = match v {
        VPos::Top => y,
        VPos::Center => y - LETTER.1 / 2,
        VPos::Bottom => y - LETTER.1,
    };
    [left, top, left + width, top + LETTER.1]
}

impl Crowd {
    /// A line from pixel to pixel, or a single mark.
    pub fn line(&mut self, corners: &[Pixel]) {
        self.pixels.extend(corners.first());
        for pair in corners.windows(2) {
            let [(x, y), (to_x, to_y)] = [pair[0], pair[1]];
            let steps = (to_x - x).abs().max((to_y - y).abs());
            self.pixels.extend((1..=steps).map(|k| {
                let share = f64::from(k) / f64::from(steps);
                let along = |from: i32, to: i32| from + (share * f64::from(to - from)) as i32;
                (along(x, to_x), along(y, to_y))
            }));
        }
    }

    /// The spot inside the frame where the name covers least, the first one of those; it is taken then.
    pub fn place(&mut self, text: &str, frame: &Frame, spots: &[Spot]) -> Option<Spot> {
        let inside = |[left, top, right, bottom]: Area| {
            left >= frame.left && right <= frame.right && top >= frame.top && bottom <= frame.bottom
        };
        let fit: Vec<Spot> = spots
            .iter()
            .copied()
            .filter(|spot| inside(area(text, *spot)))
            .collect();
        let spots = if fit.is_empty() { spots } else { &fit };
        let best = spots.iter().copied().min_by_key(|spot| {
            let own = area(text, *spot);
            (self.names_in(own), self.pixels_in(own))
        })?;
        self.names.push(area(text, best));
        Some(best)
    }

    fn names_in(&self, [left, top, right, bottom]: Area) -> usize {
        let meets = |other: &&Area| {
            left < other[2] && other[0] < right && top < other[3] && other[1] < bottom
        };
        self.names.iter().filter(meets).count()
    }

    fn pixels_in(&self, [left, top, right, bottom]: Area) -> usize {
        let covered = |at: &&Pixel| (left..right).contains(&at.0) && (top..bottom).contains(&at.1);
        self.pixels.iter().filter(covered).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame {
        left: 0,
        right: 200,
        top: 0,
        bottom: 100,
    };
    const LEFT: Spot = ((2, 50), (HPos::Left, VPos::Bottom));
    const RIGHT: Spot = ((198, 50), (HPos::Right, VPos::Bottom));

    fn placed(crowd: &mut Crowd, text: &str, spots: &[Spot]) -> Option<Pixel> {
        crowd.place(text, &FRAME, spots).map(|(at, _)| at)
    }

    #[test]
    fn a_name_stands_where_no_line_goes_and_two_names_stand_apart() {
        let mut crowd = Crowd::default();
        assert_eq!(placed(&mut crowd, "C = 1", &[RIGHT, LEFT]), Some(RIGHT.0));
        let mut crowd = Crowd::default();
        crowd.line(&[(100, 45), (199, 45)]);
        assert_eq!(placed(&mut crowd, "C = 1", &[RIGHT, LEFT]), Some(LEFT.0));
        // a name is worse to meet than a line
        assert_eq!(placed(&mut crowd, "chance", &[LEFT, RIGHT]), Some(RIGHT.0));
    }

    #[test]
    fn a_name_that_would_leave_the_frame_stands_elsewhere_if_it_can() {
        let beyond: Spot = ((198, 50), (HPos::Left, VPos::Bottom));
        let mut crowd = Crowd::default();
        crowd.line(&[(0, 45), (100, 45)]);
        assert_eq!(placed(&mut crowd, "no bias", &[beyond, LEFT]), Some(LEFT.0));
        assert_eq!(placed(&mut crowd, "no bias", &[beyond]), Some(beyond.0));
    }
}
