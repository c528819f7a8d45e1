//! Limits: a caller who is known, one who is new, one who is refused, and what the answer says of it.

use palisade_guard::limit::headers::Quota;
use palisade_guard::limit::subject::Subject;
use palisade_guard::limit::{Admission, Config, Limits};
use palisade_guard::refusal::Refusal;
use std::net::Ipv6Addr;

/// Windows in use, and the call to judge.
pub(crate) struct Input {
    pub(crate) limits: Limits,
    pub(crate) client: Subject,
    pub(crate) caller: Subject,
    pub(crate) now_ms: u64,
}

/// A caller in the middle of its minute, among a thousand others: 900 of its 1,000 calls are used.
pub(crate) fn known() -> Input {
    let limits = Limits::new(Config::default(), [7; 16]);
    for n in 0..1000 {
        drop(limits.arrive(&address(n), 0));
        drop(limits.caller(&limits.subject_of(&format!("caller {n}")), limits.per_caller(), 0));
    }
    let (client, caller) = (address(5), limits.subject_of("caller 5"));
    for call in 1..900 {
        drop(limits.arrive(&client, call * 50));
        drop(limits.caller(&caller, limits.per_caller(), call * 50));
    }
    Input { limits, client, caller, now_ms: 45_010 }
}

/// A caller nobody has seen.
pub(crate) fn new() -> Input {
    let known = known();
    Input { client: address(1_000_000), caller: known.limits.subject_of("new"), ..known }
}

/// A caller that has used its limit up.
pub(crate) fn used_up() -> Input {
    let known = known();
    while known.limits.caller(&known.caller, known.limits.per_caller(), known.now_ms).is_ok() {}
    known
}

/// The caller's limit alone.
pub(crate) fn admit(input: &Input) -> Result<Admission, Refusal> {
    input.limits.caller(&input.caller, input.limits.per_caller(), input.now_ms)
}

/// All that limits cost an authenticated call: the ceiling of its address and the caller's limit.
pub(crate) fn both(input: &Input) -> Result<Admission, Refusal> {
    input.limits.arrive(&input.client, input.now_ms)?;
    admit(input)
}

/// The quota of an answer.
pub(crate) fn quota() -> Quota {
    match admit(&known()) {
        Ok(admission) => admission.quota(),
        Err(refusal) => unreachable!("{refusal:?}"),
    }
}

fn address(n: u32) -> Subject {
    Subject::address(Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(n) << 64).into())
}
