// Drives a mock by its OpenAPI document: node built/drive.js MOCK RECEIVER
import createClient from "openapi-fetch";
import type { paths } from "./generated/api.js";

const [mock = "", receiver = ""] = process.argv.slice(2);
const { GET, POST, PUT } = createClient<paths>({ baseUrl: mock });

/** Return the data of an answer; what the server refuses is an error that says why. */
function data<T>(answer: { data?: T; error?: { detail: string } }): T {
  if (answer.data === undefined) throw new Error(answer.error?.detail);
  return answer.data;
}

const path = { app: "typescript" };
data(await PUT("/api/v1/apps/{app}", { params: { path }, body: { provider: "commsease", endpoint: receiver } }));
const { deliveries } = data(
  await POST("/api/v1/apps/{app}/events", {
    params: { path },
    body: { events: [{ type: "commsease.login" }], faults: ["lose-ack"] },
  }),
);
const expected = { ...path, event_type: "commsease.login" as const, state: "acked" as const, exactly: 1 };
const verified = data(await POST("/api/v1/verify", { body: { expect: [expected], within_seconds: 30 } }));
const delivery_id = deliveries[0]!;
const { items } = data(await GET("/api/v1/deliveries/{delivery_id}/attempts", { params: { path: { delivery_id } } }));
const near = data(await POST("/api/v1/verify", { body: { expect: [{ ...expected, state: "dropped" }] } }));
console.log(
  JSON.stringify({
    holds: verified.holds,
    outcomes: items.map((attempt) => attempt.outcome),
    differences: near.found[0]?.near[0]?.differences,
  }),
);
