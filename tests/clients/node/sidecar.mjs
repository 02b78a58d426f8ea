// Starts the real program: a sidecar and a simulated Zentra on free ports.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const READY = /^ready grpc=(\S+) simulator=(\S+) admin=(\S+)/;
// A bound for a machine that is busy with other work; usually it takes a fraction of a second.
const START_MS = 60_000;

/**
 * Starts `zentra-sidecar dev --no-flow`, on a free port or at `listen`, with more settings as
 * environment variables; the answer has its addresses, `log`, `ledger` and `stop`.
 */
export async function startSidecar(listen = "127.0.0.1:0", settings = {}) {
  const program = process.env.ZENTRA_SIDECAR_BIN;
  if (!program) {
    throw new Error(
      "ZENTRA_SIDECAR_BIN names no program: 'cargo build' makes target/debug/zentra-sidecar, " +
        "and scripts/test sets the variable.",
    );
  }
  const free = "127.0.0.1:0";
  const flags = ["--listen", listen, "--simulator-listen", free, "--admin-listen", free];
  const env = { ...process.env, ...settings };
  const child = spawn(program, ["dev", "--no-flow", ...flags], { env });
  const ended = once(child, "exit");
  let log = "";
  child.stderr.on("data", (text) => (log += text));

  const overdue = setTimeout(() => child.kill("SIGKILL"), START_MS);
  const ready = await firstMatch(child.stdout, READY);
  clearTimeout(overdue);
  if (!ready) {
    throw new Error(`the sidecar ended before it was ready:\n${log}`);
  }
  // Whatever it prints from now on is read, so that it never waits for a reader.
  child.stdout.resume();

  const [, address, simulator, admin] = ready;
  return {
    address,
    simulator,
    admin,
    /** What it has written to stderr so far. */
    log: () => log,
    /** What has happened at the simulated Zentra: every effect, every POST that arrived. */
    async ledger(reference) {
      const query = reference ? `?reference=${reference}` : "";
      const answer = await fetch(`${simulator}/_simulator/ledger${query}`);
      return answer.json();
    },
    /** Ends it as Kubernetes would, and answers with its exit code. */
    async stop() {
      child.kill("SIGTERM");
      const [code] = await ended;
      return code;
    },
  };
}

async function firstMatch(stream, pattern) {
  const lines = createInterface({ input: stream });
  for await (const line of lines) {
    const match = pattern.exec(line);
    if (match) {
      return match;
    }
  }
  return null;
}
