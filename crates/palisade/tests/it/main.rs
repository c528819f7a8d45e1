//! The built program, driven from outside: raw bytes, official clients, real servers. One module for each capability.

mod children;
mod conformance;
mod differentials;
mod edge;
mod gate;
mod harness;
mod limits;
mod production;
mod real_clients;
mod upstream;
