import { Turnstile } from "next-turnstile";
import { useState } from "react";
import { createRoot } from "react-dom/client";

function Page() {
  const [shown, show] = useState(true);
  Object.assign(window, {
    again: () => window.turnstile.reset(),
    leave: () => show(false),
    response: () => window.turnstile.getResponse(),
  });
  return shown ? (
    <Turnstile
      siteKey={window.setup.sitekey}
      action="login"
      {...window.setup.options}
      onVerify={window.record("token")}
      onError={window.record("error")}
      onBeforeInteractive={window.record("before")}
      onAfterInteractive={window.record("after")}
    />
  ) : null;
}

createRoot(document.querySelector("#page")).render(<Page />);
