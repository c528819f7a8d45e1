// Runs each revision of the suite against one URL and tells what failed, or what is worse than it was.
// Called by run.sh, which describes the arguments.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { headerProxy } from "./header-proxy.mjs";

const REVISIONS = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
const EXTENSION = "tasks-extension";
const LONGEST_RUN_MS = 300_000;

// From best to worst. A check that is not there at all stands between what passed and what went wrong.
const RANK = { SUCCESS: 0, INFO: 1, SKIPPED: 1, ABSENT: 1, WARNING: 2, FAILURE: 3 };

const [cli, ...rest] = process.argv.slice(2);
const { url, headers, save, compare, ext } = options(rest);
const work = mkdtempSync(join(tmpdir(), "conformance-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
const proxy = headers.length ? await headerProxy(url, headers) : undefined;
const target = proxy?.url ?? url.href;

let clean = true;
for (const revision of REVISIONS) {
  const done = await suite(["--suite", "all", "--spec-version", revision], revision);
  clean = report(revision, done) && clean;
}
if (ext) {
  const names = (await text(["list", "--server"])).matchAll(/- (tasks-\S+) \[extension\]/g);
  let done = true;
  for (const [, name] of names) done = (await suite(["--scenario", name], EXTENSION)) && done;
  clean = report(EXTENSION, done) && clean;
}
proxy?.close();
process.exitCode = clean ? 0 : 1;

function options(args) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        header: { type: "string", short: "H", multiple: true, default: [] },
        save: { type: "string" },
        compare: { type: "string" },
        ext: { type: "boolean", default: false },
      },
    });
    if (positionals.length !== 1) throw new Error("one URL is needed");
    if (values.header.some((header) => !/^[^\s:]+:/.test(header))) throw new Error("-H wants 'Name: value'");
    return { ...values, url: new URL(positionals[0]), headers: values.header };
  } catch (error) {
    console.error(`run.sh: ${error.message}`);
    process.exit(2);
  }
}

/** Runs the suite into the folder of `part`; false when it did not come to its end. */
async function suite(args, part) {
  const output = await text(["server", "--url", target, ...args, "-o", join(work, part)]);
  // One scenario alone has no summary of its own.
  return /=== SUMMARY|Test Results:|Passed: /.test(output);
}

function text(args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "pipe", "pipe"], timeout: LONGEST_RUN_MS });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (data) => (output += data));
    child.on("error", (error) => resolve(String(error)));
    child.on("close", () => resolve(output));
  });
}

/** Prints the tally of one part, keeps and compares it as asked; false when something is wrong. */
function report(part, done) {
  const { verdicts, tally } = read(part);
  const scenarios = new Set(Object.keys(verdicts).map(scenario));
  const broken = new Set(Object.keys(verdicts).filter((check) => verdicts[check].status === "FAILURE").map(scenario));
  console.log(
    `${part}: ${tally.SUCCESS} passed, ${tally.FAILURE} failed, ${tally.WARNING} warnings, ` +
      `${tally.SKIPPED} skipped; ${scenarios.size - broken.size} of ${scenarios.size} scenarios clean`,
  );
  if (!done) console.log("    the suite did not come to its end");
  if (scenarios.size === 0) console.log("    no scenario ran");
  if (save) {
    mkdirSync(save, { recursive: true });
    const kept = Object.fromEntries(Object.entries(verdicts).map(([check, { status }]) => [check, status]));
    writeFileSync(join(save, `${part}.json`), JSON.stringify(kept, null, 1) + "\n");
  }
  const wrong = compare ? regressed(part, verdicts) : failed(verdicts);
  for (const line of wrong) console.log(`    ${line}`);
  if (compare) console.log(`    ${wrong.length} regressed`);
  return done && scenarios.size > 0 && wrong.length === 0;
}

/** The worst verdict of each check (an id may be given several times), and how many there are of each. */
function read(part) {
  const verdicts = {};
  const tally = { SUCCESS: 0, FAILURE: 0, WARNING: 0, SKIPPED: 0, INFO: 0 };
  const folder = join(work, part);
  for (const run of existing(folder)) {
    const name = run.replace(/^server-/, "").replace(/-\d{4}-\d\d-\d\dT[\dZ-]+$/, "");
    for (const { id, name: title, status, errorMessage } of JSON.parse(readFileSync(join(folder, run, "checks.json")))) {
      tally[status] += 1;
      const check = `${name}: ${id} (${title})`;
      if (!(RANK[verdicts[check]?.status] >= RANK[status])) verdicts[check] = { status, errorMessage };
    }
  }
  return { verdicts, tally };
}

function existing(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function failed(verdicts) {
  return Object.entries(verdicts)
    .filter(([, { status }]) => status === "FAILURE")
    .map(([check, { errorMessage }]) => `FAILED ${check}: ${short(errorMessage)}`);
}

function regressed(part, verdicts) {
  let before;
  try {
    before = JSON.parse(readFileSync(join(compare, `${part}.json`)));
  } catch (error) {
    return [`nothing to compare with: ${error.message}`];
  }
  return [...new Set([...Object.keys(before), ...Object.keys(verdicts)])].flatMap((check) => {
    const was = before[check] ?? "ABSENT";
    const { status: is = "ABSENT", errorMessage } = verdicts[check] ?? {};
    return RANK[is] > RANK[was] ? [`REGRESSED ${check}: ${was} -> ${is} ${short(errorMessage)}`] : [];
  });
}

function scenario(check) {
  return check.slice(0, check.indexOf(": "));
}

function short(message = "") {
  return message.replace(/\s+/g, " ").slice(0, 160);
}
