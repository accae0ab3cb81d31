// Asks for a private model with @huggingface/hub, as its documentation says: it takes a token from nobody
// but its caller.
import { modelInfo } from "@huggingface/hub";

await modelInfo({
  name: "acme/model",
  hubUrl: process.env.HF_ENDPOINT,
  accessToken: process.env.HF_TOKEN,
});
