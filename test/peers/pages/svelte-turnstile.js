import { mount } from "svelte";
import Page from "./svelte-turnstile.svelte";

mount(Page, { target: document.querySelector("#page") });
