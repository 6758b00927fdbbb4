"use client";
import { Turnstile } from "next-turnstile";

export default function Page() {
  const verify = async (token) => {
    const answer = await fetch("/verify", { method: "POST", body: token });
    document.title = JSON.stringify(await answer.json());
  };
  return <Turnstile siteKey="0x4EMULATORINVISIBLE" action="contact" onVerify={verify} />;
}
