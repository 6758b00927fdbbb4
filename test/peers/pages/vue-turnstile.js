import { createApp, h, ref } from "vue";
import VueTurnstile from "vue-turnstile";

const token = ref("");
const shown = ref(true);
const widget = ref();
const told = window.record("token");
Object.assign(window, {
  again: () => widget.value.reset(),
  leave: () => {
    shown.value = false;
  },
  response: () => token.value,
});
createApp(() =>
  shown.value
    ? h(VueTurnstile, {
        ref: widget,
        siteKey: window.setup.sitekey,
        action: "login",
        ...window.setup.options,
        modelValue: token.value,
        "onUpdate:modelValue": (value) => {
          token.value = value;
          if (value) told(value);
        },
        onError: window.record("error"),
        onBeforeInteractive: window.record("before"),
        onAfterInteractive: window.record("after"),
      })
    : null,
).mount("#page");
