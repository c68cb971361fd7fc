// What a passkey signs or makes is put into the form that asked for it, and the form is sent; the broker alone judges it.
// The page asks the broker what to do, the browser asks the person, and whatever fails is said beside the button.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));

const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const credentials = (listed) => listed?.map((one) => ({ ...one, id: bytes(one.id) }));

async function make(options) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: credentials(options.excludeCredentials),
    },
  });
  return told(made, { attestationObject: text(made.response.attestationObject) });
}

async function sign(options) {
  const signed = await navigator.credentials.get({
    publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: credentials(options.allowCredentials) },
  });
  const { authenticatorData, signature, userHandle } = signed.response;
  return told(signed, {
    authenticatorData: text(authenticatorData),
    signature: text(signature),
    userHandle: userHandle && userHandle.byteLength ? text(userHandle) : null,
  });
}

function told(credential, response) {
  const id = text(credential.rawId);
  const clientDataJSON = text(credential.response.clientDataJSON);
  return JSON.stringify({ id, rawId: id, type: credential.type, response: { clientDataJSON, ...response } });
}

class Said extends Error {}

async function ask(url, form, passkey) {
  const fields = new URLSearchParams({ csrf: form.elements.csrf?.value ?? "", digest: form.elements.digest?.value ?? "", passkey });
  const answer = await fetch(url, { method: "POST", body: fields, redirect: "manual" }).catch(() => null);
  const step = await answer?.json().catch(() => null);
  if (answer?.ok && step) return step;
  throw new Said(step?.why ?? "The broker did not answer: load the page again.");
}

async function answerOf(form) {
  if (location.origin !== form.dataset.origin) {
    throw new Said(`Passkeys work under the broker's own name alone: sign in at ${form.dataset.origin} and open this there.`);
  }
  if (!window.PublicKeyCredential) throw new Said("This browser has no passkeys: use another one, or your phone.");
  let step = await ask(form.dataset.passkey, form, "");
  if (step.next) {
    say(form, "First one of your passkeys signs for the new one.");
    step = await ask(step.next, form, await sign(step.get));
  }
  say(form, step.create ? "Now the new passkey is made." : "Your passkey is asked.");
  return step.create ? make(step.create) : sign(step.get);
}

const WORDS = {
  NotAllowedError: "You cancelled, or your passkey did not answer in time. Nothing was sent: press again.",
  AbortError: "You cancelled. Nothing was sent: press again.",
  InvalidStateError: "This device or key holds a passkey of yours already.",
  NotSupportedError: "This device or key makes no passkey of a kind that the broker takes.",
  SecurityError: "The browser uses no passkeys under this address. Nothing was sent.",
};

function say(form, words) {
  form.querySelector("[data-said]").textContent = words;
}

document.querySelectorAll("form[data-passkey]").forEach((form) => {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter ?? form.querySelector("button");
    button.disabled = true;
    try {
      form.elements.passkey.value = await answerOf(form);
      say(form, "Signed. It is sent.");
      form.submit();
    } catch (fault) {
      const unanswered = fault.name === "NotAllowedError" ? form.dataset.unanswered : undefined;
      say(form, fault instanceof Said ? fault.message : unanswered ?? WORDS[fault.name] ?? "Your passkey did not answer. Nothing was sent.");
      button.disabled = false;
      button.focus();
    }
  });
});
