//! What the tests share: the gateway and other programs as processes, bytes on a socket, clients, the journal.
//!
//! A test starts a [`Gateway`], lets clients visit it or writes to it byte by byte, and stops it. Stopping checks that the
//! gateway ended in order, that none of its children is left, and that the journal is intact.

#![allow(dead_code, reason = "each module of tests uses what it needs")]

mod client;
mod gateway;
mod journal;
mod parts;
mod process;
mod rust_client;
mod wire;

pub(crate) use client::{Client, Plan, Report};
pub(crate) use gateway::{Gateway, Setup, Stopped};
pub(crate) use journal::Journal;
pub(crate) use parts::{built, parts, program};
pub(crate) use process::Process;
pub(crate) use wire::{Connection, Event, Response, request};
