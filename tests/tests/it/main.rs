//! The one integration binary: the story, the house rules, and the simulated world.

mod house;
mod separated;
mod sim;
mod story;
