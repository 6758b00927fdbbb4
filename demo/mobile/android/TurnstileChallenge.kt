// The challenge of a gatepass gate in an Android WebView. A sample: copy it and make it yours. It was not compiled here.
// Needs androidx.webkit 1.6 or newer and kotlinx-coroutines; INTERNET is the only permission.
package sample.gatepass

import android.annotation.SuppressLint
import android.app.Activity
import android.net.Uri
import android.view.Gravity
import android.view.ViewGroup
import android.webkit.CookieManager
import android.webkit.RenderProcessGoneDetail
import android.webkit.WebResourceError
import android.webkit.WebResourceRequest
import android.webkit.WebResourceResponse
import android.webkit.WebSettings
import android.webkit.WebView
import android.webkit.WebViewClient
import android.widget.FrameLayout
import androidx.webkit.WebViewCompat
import androidx.webkit.WebViewFeature
import kotlin.coroutines.resume
import kotlin.coroutines.resumeWithException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeoutOrNull
import okhttp3.HttpUrl
import org.json.JSONException
import org.json.JSONObject

/** What the page said instead of a token: Turnstile's number, or timeout, unsupported, blocked, expired, page. */
class ChallengeFailed(val error: String) : Exception("Cannot solve the challenge: $error")

/** @param baseUrl the API's origin, https: its hostname is one of those that the Turnstile widget is set up for */
class TurnstileChallenge(private val activity: Activity, private val baseUrl: HttpUrl) {
    /** Turnstile's token, once. It is handed to the verification and nowhere else: not logged, not kept. */
    suspend fun solve(challengeId: String): String = withContext(Dispatchers.Main) {
        // Without it the bridge could only be injected into every frame, the provider's too.
        if (!WebViewFeature.isFeatureSupported(WebViewFeature.WEB_MESSAGE_LISTENER)) throw ChallengeFailed("unsupported")
        val page = baseUrl.newBuilder().encodedPath("/mobile-turnstile").addQueryParameter("challenge_id", challengeId).build().toString()
        val view = WebView(activity)
        // In the window, however small: a view that is not attached has no timers.
        activity.addContentView(view, FrameLayout.LayoutParams(1, 1, Gravity.BOTTOM))
        // An invisible challenge is done by then; whatever takes longer may be waiting for a person.
        val reveal = launch {
            delay(REVEAL_MS)
            view.layoutParams = FrameLayout.LayoutParams(ViewGroup.LayoutParams.MATCH_PARENT, ViewGroup.LayoutParams.MATCH_PARENT)
        }
        try {
            withTimeoutOrNull(TIMEOUT_MS) { ask(view, page) } ?: throw ChallengeFailed("timeout")
        } finally {
            reveal.cancel()
            view.stopLoading()
            WebViewCompat.removeWebMessageListener(view, BRIDGE)
            (view.parent as? ViewGroup)?.removeView(view)
            view.destroy()
        }
    }

    @SuppressLint("SetJavaScriptEnabled")
    private suspend fun ask(view: WebView, page: String): String = suspendCancellableCoroutine { continuation ->
        fun fail(error: String) {
            if (continuation.isActive) continuation.resumeWithException(ChallengeFailed(error))
        }

        fun hear(text: String?) {
            val told = try {
                JSONObject(text ?: "{}")
            } catch (notJson: JSONException) {
                return
            }
            when (told.optString("type")) {
                "TURNSTILE_SUCCESS" -> if (continuation.isActive) continuation.resume(told.getString("token"))
                "TURNSTILE_ERROR" -> fail(told.optString("error", "unknown_error"))
                "TURNSTILE_EXPIRED" -> fail("expired")
            }
        }
        // The user agent stays the WebView's own: one that is made up, or changes, fails the challenge.
        view.settings.apply {
            javaScriptEnabled = true
            domStorageEnabled = true
            allowFileAccess = false
            allowContentAccess = false
            javaScriptCanOpenWindowsAutomatically = false
            mixedContentMode = WebSettings.MIXED_CONTENT_NEVER_ALLOW
        }
        // The provider's frame is a third party to the page; some modes keep something there.
        CookieManager.getInstance().setAcceptThirdPartyCookies(view, true)
        val origin = Uri.parse(page).run { "$scheme://$encodedAuthority" }
        // In documents of our own origin alone, so that no other frame can say that it was solved.
        WebViewCompat.addWebMessageListener(view, BRIDGE, setOf(origin)) { _, message, _, isMainFrame, _ ->
            if (isMainFrame) hear(message.data)
        }
        view.webViewClient = object : WebViewClient() {
            override fun shouldOverrideUrlLoading(view: WebView, request: WebResourceRequest): Boolean =
                if (request.isForMainFrame) request.url.toString() != page else !isFrameAllowed(request.url)

            override fun onReceivedError(view: WebView, request: WebResourceRequest, error: WebResourceError) {
                if (request.isForMainFrame) fail("page")
            }

            // 403: the challenge is over, or none of ours. Certificates that are wrong are refused by WebView itself: leave onReceivedSslError alone.
            override fun onReceivedHttpError(view: WebView, request: WebResourceRequest, response: WebResourceResponse) {
                if (request.isForMainFrame) fail("page")
            }

            override fun onRenderProcessGone(view: WebView, detail: RenderProcessGoneDetail): Boolean {
                fail("page")
                return true
            }
        }
        // The page itself, from its server: HTML of the app's own under a made-up base URL, or file://, has no hostname that the widget allows.
        view.loadUrl(page)
    }

    private fun isFrameAllowed(url: Uri): Boolean =
        url.scheme == "https" && url.host == PROVIDER || url.scheme == "blob" || url.scheme == "data" || url.toString() in BLANK

    private companion object {
        const val BRIDGE = "AndroidBridge"
        const val PROVIDER = "challenges.cloudflare.com"
        val BLANK = setOf("about:blank", "about:srcdoc")
        const val REVEAL_MS = 5_000L
        const val TIMEOUT_MS = 120_000L
    }
}
