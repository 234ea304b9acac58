import { expect, it } from "vitest";
import { logMessage } from "./log-message";

const objectives = [{ metric: "accuracy", direction: "maximize" }] as const;
const say = (kind: string, payload: Record<string, unknown>) => logMessage(kind, payload, objectives);

it("names the trials that joined and left the front", () => {
  expect(say("front", { joined: ["j1-7"], left: ["j1-2", "j1-3"], size: 4 })).toBe(
    "trial 7 joined · trials 2, 3 left · size 4",
  );
  expect(say("front", { joined: ["j1-7"], left: [], size: 5 })).toBe("trial 7 joined · size 5");
});

it("shows the objectives of a result and the configuration of a suggestion", () => {
  expect(
    say("trial.completed", { trial_id: "j1-7", number: 7, metrics: { accuracy: 0.7, loss: 1 }, reason: null }),
  ).toBe("accuracy 0.7000");
  expect(say("trial.queued", { config: { method: "lora", rank: 8 }, label: "head-only" })).toBe(
    "lora rank=8 · head-only",
  );
});

it("passes on messages, reasons and what it does not know", () => {
  expect(say("note", { message: "the fit failed", step: 3 })).toBe("the fit failed · step: 3");
  expect(say("job.state", { state: "failed", reason: "out of memory" })).toBe("failed · out of memory");
});
