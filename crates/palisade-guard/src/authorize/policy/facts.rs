//! What Cedar is told of a call: who, what, and in which circumstances.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression as Expression,
};

use super::reading::Readings;
use super::{Action, Binding, Deed, Thing, Who};
use crate::grant::climbs;

/// Names that are the same for every call, and who has which roles.
pub(super) struct Names {
    types: HashMap<&'static str, EntityTypeName>,
    by_group: HashMap<Arc<str>, HashSet<EntityUid>>,
    by_caller: HashMap<Arc<str>, HashSet<EntityUid>>,
}

const TYPES: [&str; 11] =
    ["Action", "Caller", "Group", "Role", "Server", "Tool", "Resource", "Prompt", "Task", "Method", "Part"];

impl Names {
    pub(super) fn new(bindings: &[Binding]) -> Result<Self, String> {
        let read = |word: &'static str| Ok((word, word.parse().map_err(|error| format!("{word}: {error}"))?));
        let types = TYPES.into_iter().map(read).collect::<Result<_, String>>()?;
        let mut names = Self { types, by_group: HashMap::new(), by_caller: HashMap::new() };
        for binding in bindings {
            let roles: HashSet<_> =
                binding.roles.iter().map(|role| names.entity("Role", role)).collect::<Result<_, _>>()?;
            for group in &binding.groups {
                names.by_group.entry(Arc::clone(group)).or_default().extend(roles.iter().cloned());
            }
            for caller in &binding.callers {
                names.by_caller.entry(Arc::clone(caller)).or_default().extend(roles.iter().cloned());
            }
        }
        Ok(names)
    }

    fn entity(&self, kind: &str, id: &str) -> Result<EntityUid, String> {
        let kind = self.types.get(kind).ok_or_else(|| format!("no type {kind}"))?;
        Ok(EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id)))
    }

    /// The question, and the entities that it is about. `arguments` are read only where a rule reads them.
    pub(super) fn request(
        &self,
        who: &Who<'_>,
        deed: &Deed<'_>,
        arguments: bool,
    ) -> Result<(Request, Entities), String> {
        let principal = self.entity("Caller", who.id)?;
        let action = self.entity("Action", deed.action.word())?;
        let (resource, mut entities) = self.thing(deed)?;
        entities.extend(self.caller(who, &principal)?);
        let entities = Entities::from_entities(entities, None).map_err(|error| error.to_string())?;
        let context = if deed.action == Action::Reach { Context::empty() } else { context(who, deed, arguments)? };
        let request = Request::new(principal, action, resource, context, None).map_err(|error| error.to_string())?;
        Ok((request, entities))
    }

    fn caller(&self, who: &Who<'_>, principal: &EntityUid) -> Result<Vec<Entity>, String> {
        let mut entities = Vec::new();
        let mut parents = self.by_caller.get(who.id).cloned().unwrap_or_default();
        for group in who.groups.iter().collect::<BTreeSet<_>>() {
            let uid = self.entity("Group", group)?;
            let roles = self.by_group.get(group).cloned().unwrap_or_default();
            entities.push(Entity::new_no_attrs(uid.clone(), roles));
            parents.insert(uid);
        }
        entities.push(Entity::new_no_attrs(principal.clone(), parents));
        Ok(entities)
    }

    fn thing(&self, deed: &Deed<'_>) -> Result<(EntityUid, Vec<Entity>), String> {
        let attributes = |name: &str| {
            HashMap::from([
                ("name".to_owned(), Expression::new_string(name.to_owned())),
                ("server".to_owned(), Expression::new_string(deed.server.to_owned())),
            ])
        };
        let made = |uid: EntityUid, attributes, parents| {
            Entity::new(uid, attributes, parents).map_err(|error| error.to_string())
        };
        if deed.thing == Thing::Part {
            let uid = self.entity("Part", deed.name)?;
            return Ok((uid.clone(), vec![made(uid, attributes(deed.name), HashSet::new())?]));
        }
        let server = self.entity("Server", deed.server)?;
        let mut entities = vec![made(server.clone(), attributes(deed.server), HashSet::new())?];
        if deed.thing == Thing::Server {
            return Ok((server, entities));
        }
        let uid = self.entity(deed.thing.word(), &format!("{}/{}", deed.server, deed.name))?;
        let mut attributes = attributes(deed.name);
        if deed.thing == Thing::Resource {
            attributes.insert("climbs".to_owned(), Expression::new_bool(climbs(deed.name)));
        }
        entities.push(made(uid.clone(), attributes, HashSet::from([server]))?);
        Ok((uid, entities))
    }
}

fn context(who: &Who<'_>, deed: &Deed<'_>, arguments: bool) -> Result<Context, String> {
    let mut pairs = vec![
        ("address".to_owned(), Expression::new_ip(who.address.to_canonical().to_string())),
        ("time".to_owned(), Expression::new_long(i64::try_from(who.unix_s).unwrap_or(i64::MAX))),
        ("method".to_owned(), Expression::new_string(who.method.to_owned())),
        ("strength".to_owned(), Expression::new_long(strength(who.method))),
    ];
    if arguments {
        let mut readings = deed.arguments.map(Readings::of).unwrap_or_default();
        if let Some((name, text)) = deed.completed {
            readings.text(name, text);
        }
        let Readings { arguments, hosts, paths, decimals } = readings;
        for (name, members) in [("arguments", arguments), ("hosts", hosts), ("paths", paths), ("decimals", decimals)] {
            let record = Expression::new_record(members).map_err(|error| error.to_string())?;
            pairs.push((name.to_owned(), record));
        }
    }
    Context::from_pairs(pairs).map_err(|error| error.to_string())
}

/// How well a caller is known, to be compared: nobody, a secret that is sent, one that was checked against a time, and
/// one that is never sent.
fn strength(method: &str) -> i64 {
    match method {
        "none" => 0,
        "key" | "managed_key" => 1,
        "token" => 2,
        _ => 3,
    }
}
