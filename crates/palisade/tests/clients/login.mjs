// The login of a TypeScript client: an OAuth client as the SDKs ask for, whose person at the browser is the authorization
// server's own page for tests (`plan.login`): it follows the redirects and gives back the last one.

import { createInterface } from "node:readline";

/** Logs in for a program that prints where: goes there, and wherever that leads, as a browser does. */
export function watch(errors, browser) {
  createInterface(errors).on("line", async (line) => {
    console.error(line);
    const url = line.match(/^log in at (.*)$/)?.[1];
    if (!url) return;
    const last = await (await fetch(`${browser}?url=${encodeURIComponent(url)}`)).text();
    console.error(await (await fetch(last)).text());
  });
}

const REDIRECT = "http://127.0.0.1:9/callback";

/** What the SDKs call an OAuthClientProvider, in memory. */
export class Login {
  constructor(browser) {
    this.browser = browser;
    this.logins = 0;
  }

  redirectUrl = REDIRECT;
  clientMetadata = {
    client_name: "palisade-tests",
    application_type: "native",
    redirect_uris: [REDIRECT],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  };

  clientInformation = () => this.information;
  saveClientInformation = (information) => void (this.information = information);
  tokens = () => this.kept;
  saveTokens = (tokens) => void (this.kept = tokens);
  codeVerifier = () => this.verifier;
  saveCodeVerifier = (verifier) => void (this.verifier = verifier);
  saveDiscoveryState = (state) => void (this.discovered = state);
  discoveryState = () => this.discovered;

  async redirectToAuthorization(url) {
    this.logins += 1;
    const response = await fetch(`${this.browser}?url=${encodeURIComponent(url)}`);
    this.answer = new URL(await response.text());
  }

  /** Does something, and once more after each login that it asks for. */
  async with(transport, deed) {
    for (let turn = 0; ; turn += 1) {
      try {
        return await deed();
      } catch (error) {
        if (error.name !== "UnauthorizedError" && error.constructor.name !== "UnauthorizedError") throw error;
        if (turn === 3 || !this.answer) throw error;
        const answer = this.answer.searchParams;
        this.answer = undefined;
        if (!answer.get("code")) throw new Error(`no code: ${answer}`);
        await transport().finishAuth(...(transport().finishAuth.length > 1 ? [answer] : [answer.get("code")]));
      }
    }
  }
}
