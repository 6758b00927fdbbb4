import { useState } from "react";
import { createRoot } from "react-dom/client";
import { Turnstile, useTurnstile } from "react-turnstile";

function Page() {
  const turnstile = useTurnstile();
  const [shown, show] = useState(true);
  Object.assign(window, { again: () => turnstile.reset(), leave: () => show(false), response: () => turnstile.getResponse() });
  return shown ? (
    <Turnstile
      sitekey={window.setup.sitekey}
      action="login"
      cData="abc"
      {...window.setup.options}
      onVerify={window.record("token")}
      onError={window.record("error")}
      onBeforeInteractive={window.record("before")}
      onAfterInteractive={window.record("after")}
    />
  ) : null;
}

createRoot(document.querySelector("#page")).render(<Page />);
