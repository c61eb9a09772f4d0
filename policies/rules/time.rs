//! When a call is made.

use jiff::{Timestamp as Moment, civil, civil::Weekday, tz::TimeZone};

use super::options::{Day, Time};
use crate::kit::clock::Timestamp;

/// A span of time that comes again and again, or once.
#[derive(Debug)]
pub(super) struct Hours {
    days: Option<Vec<Day>>,
    from: civil::Time,
    to: Option<civil::Time>,
    zone: TimeZone,
    after: Option<Moment>,
    before: Option<Moment>,
}

impl Hours {
    /// What is wrong stands at the member of this name.
    pub(super) fn new(time: &Time) -> Result<Self, (&'static str, String)> {
        let of_day = |name, text: &Option<String>| text.as_deref().map(|text| time_of_day(name, text)).transpose();
        let moment = |name, text: &Option<String>| {
            let read = |text: &String| {
                text.parse().map_err(|_| (name, format!("{text:?} is no moment such as 2026-11-21T08:00:00Z")))
            };
            text.as_ref().map(read).transpose()
        };
        let zone = TimeZone::get(&time.zone)
            .map_err(|_| ("zone", format!("{:?} is no time zone such as Europe/Berlin", time.zone)))?;
        Ok(Self {
            days: time.days.clone(),
            from: of_day("from", &time.from)?.unwrap_or(civil::Time::midnight()),
            to: of_day("to", &time.to)?,
            zone,
            after: moment("after", &time.after)?,
            before: moment("before", &time.before)?,
        })
    }

    pub(super) fn hold(&self, now: Timestamp) -> bool {
        let Ok(now) = Moment::from_second(now.as_seconds()) else { return false };
        let is_in_span = self.after.is_none_or(|after| now >= after) && self.before.is_none_or(|before| now < before);
        is_in_span && self.is_on_the_clock(now)
    }

    /// A span over midnight belongs to the day on which it begins.
    fn is_on_the_clock(&self, now: Moment) -> bool {
        let local = self.zone.to_datetime(now);
        let (time, today) = (local.time(), local.date().weekday());
        let on = |day: Weekday| self.days.as_ref().is_none_or(|days| days.iter().any(|known| weekday(*known) == day));
        match self.to {
            None => on(today) && time >= self.from,
            Some(to) if self.from < to => on(today) && time >= self.from && time < to,
            Some(to) => (on(today) && time >= self.from) || (on(today.previous()) && time < to),
        }
    }
}

fn time_of_day(name: &'static str, text: &str) -> Result<civil::Time, (&'static str, String)> {
    civil::Time::strptime("%H:%M", text).map_err(|_| (name, format!("{text:?} is no time of day such as 08:00")))
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(time: serde_json::Value, at: &str) -> bool {
        let hours = Hours::new(&serde_json::from_value(time).unwrap()).unwrap();
        hours.hold(Timestamp::from_seconds(at.parse::<Moment>().unwrap().as_second()))
    }

    #[test]
    fn office_hours_are_those_of_the_place_in_summer_and_in_winter() {
        let office = || json!({ "days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "18:00", "zone": "Europe/Berlin" });
        assert!(holds(office(), "2026-07-01T06:00:00Z") && !holds(office(), "2026-07-01T16:00:00Z"));
        assert!(!holds(office(), "2026-12-01T06:59:59Z") && holds(office(), "2026-12-01T07:00:00Z"));
        assert!(!holds(office(), "2026-11-21T10:00:00Z"), "a Saturday");
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night = || json!({ "days": ["fri"], "from": "22:00", "to": "06:00" });
        assert!(holds(night(), "2026-11-20T23:00:00Z") && holds(night(), "2026-11-21T05:59:00Z"));
        assert!(!holds(night(), "2026-11-21T06:00:00Z") && !holds(night(), "2026-11-20T05:00:00Z"));
    }

    #[test]
    fn a_span_has_a_beginning_and_an_end() {
        let freeze = || json!({ "after": "2026-12-20T00:00:00+01:00", "before": "2027-01-07T00:00:00+01:00" });
        assert!(!holds(freeze(), "2026-12-19T22:59:59Z") && holds(freeze(), "2026-12-19T23:00:00Z"));
        assert!(holds(freeze(), "2027-01-06T22:59:59Z") && !holds(freeze(), "2027-01-06T23:00:00Z"));
    }

    #[test]
    fn what_is_no_time_is_named() {
        let wrong = |time| Hours::new(&serde_json::from_value(time).unwrap()).unwrap_err().0;
        assert_eq!(wrong(json!({ "from": "8 o'clock" })), "from");
        assert_eq!(wrong(json!({ "zone": "Berlin" })), "zone");
        assert_eq!(wrong(json!({ "after": "tomorrow" })), "after");
    }
}
