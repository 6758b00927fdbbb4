import { Turnstile } from "@marsidev/react-turnstile";
import { StrictMode, useRef, useState } from "react";
import { createRoot } from "react-dom/client";

function Page() {
  const ref = useRef();
  const [shown, show] = useState(true);
  Object.assign(window, { again: () => ref.current.reset(), leave: () => show(false), response: () => ref.current.getResponse() });
  return shown ? (
    <Turnstile
      ref={ref}
      siteKey={window.setup.sitekey}
      options={{ action: "login", cData: "abc", ...window.setup.options }}
      onSuccess={window.record("token")}
      onError={window.record("error")}
      onBeforeInteractive={window.record("before")}
      onAfterInteractive={window.record("after")}
    />
  ) : null;
}

createRoot(document.querySelector("#page")).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
