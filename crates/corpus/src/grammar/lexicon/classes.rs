//! Semantic classes: a verb or an adjective names the classes its noun may belong to.

/// A set of classes.
pub(crate) type Classes = u64;

pub(crate) const FAMILY: Classes = 1;
pub(crate) const PERSON: Classes = 1 << 1;
pub(crate) const ANIMAL: Classes = 1 << 2;
/// Things to eat.
pub(crate) const FOOD: Classes = 1 << 3;
/// What is prepared in a kitchen.
pub(crate) const DISH: Classes = 1 << 4;
pub(crate) const DRINK: Classes = 1 << 5;
pub(crate) const TEXT: Classes = 1 << 6;
pub(crate) const CLOTHES: Classes = 1 << 7;
pub(crate) const DEVICE: Classes = 1 << 8;
pub(crate) const VEHICLE: Classes = 1 << 9;
/// Vehicles with a timetable.
pub(crate) const LINE: Classes = 1 << 10;
pub(crate) const FURNITURE: Classes = 1 << 11;
/// Small things one carries, loses and looks for.
pub(crate) const THING: Classes = 1 << 12;
pub(crate) const TABLEWARE: Classes = 1 << 13;
/// What can be opened and closed.
pub(crate) const DOOR: Classes = 1 << 14;
/// What something can lie on.
pub(crate) const SURFACE: Classes = 1 << 15;
pub(crate) const ROOM: Classes = 1 << 16;
/// Public places one goes to.
pub(crate) const PLACE: Classes = 1 << 17;
/// Sights one visits.
pub(crate) const SIGHT: Classes = 1 << 18;
/// Shops that sell food.
pub(crate) const GROCER: Classes = 1 << 19;
/// Where one meets somebody who arrives.
pub(crate) const TERMINAL: Classes = 1 << 20;
pub(crate) const EVENT: Classes = 1 << 21;
pub(crate) const FILM: Classes = 1 << 22;
pub(crate) const BODY: Classes = 1 << 23;
pub(crate) const INSTRUMENT: Classes = 1 << 24;
pub(crate) const GIFT: Classes = 1 << 25;
pub(crate) const MUSIC: Classes = 1 << 26;
pub(crate) const LUGGAGE: Classes = 1 << 27;
/// A job somebody can have, named by a masculine noun.
pub(crate) const JOB: Classes = 1 << 28;
pub(crate) const PICTURE: Classes = 1 << 29;
/// Served hot or cold.
pub(crate) const WARM: Classes = 1 << 30;
/// Bought by number or weight at a market.
pub(crate) const PRODUCE: Classes = 1 << 31;
/// Places one works at.
pub(crate) const WORKPLACE: Classes = 1 << 32;
/// Not counted: no plural, no indefinite article.
pub(crate) const MASS: Classes = 1 << 33;
/// Somebody a person calls `my`.
pub(crate) const MINE: Classes = 1 << 34;
/// Parts of the body that are named in the plural.
pub(crate) const PAIR: Classes = 1 << 35;
/// Places one eats at.
pub(crate) const EATERY: Classes = 1 << 36;
/// Big pieces one buys once.
pub(crate) const GOODS: Classes = 1 << 37;
/// What is cooked.
pub(crate) const COOKED: Classes = 1 << 38;
/// What is cleaned at home or at work.
pub(crate) const CLEANED: Classes = 1 << 39;
/// Texts that one person writes.
pub(crate) const WRITTEN: Classes = 1 << 40;
/// Places one studies at.
pub(crate) const STUDY: Classes = 1 << 41;
/// Rooms one sleeps in.
pub(crate) const SLEEPING: Classes = 1 << 42;
/// Who is young in any case.
pub(crate) const YOUTH: Classes = 1 << 43;
