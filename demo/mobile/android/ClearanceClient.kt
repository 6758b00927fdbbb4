// An API client for Android that obeys a gatepass gate. A sample: copy it and make it yours. It was not compiled here.
// Needs OkHttp 4 and kotlinx-coroutines.
package sample.gatepass

import android.os.SystemClock
import java.io.IOException
import java.util.UUID
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.delay
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext
import okhttp3.HttpUrl
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody
import okhttp3.Response
import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/** The gate, or the challenge, said no for good: `code` is its public code. Never tried again by itself. */
class ClearanceRefused(val code: String, val retryAfterSeconds: Long?) : IOException("Cannot clear the request: $code")

/**
 * @param baseUrl the API's origin, https
 * @param deviceId 1 to 64 of A-Z a-z 0-9 . _ -, made once by the app (a random UUID, kept in its own storage); never a hardware identifier
 * @param solve shows the challenge and gives Turnstile's token: [TurnstileChallenge.solve]
 */
class ClearanceClient(
    private val baseUrl: HttpUrl,
    http: OkHttpClient,
    private val deviceId: String,
    private val appVersion: String,
    private val solve: suspend (challengeId: String) -> String,
) {
    // A redirect would carry the clearance to wherever it leads. Do not log headers; where you must: redactHeader("X-App-Clearance").
    private val http = http.newBuilder().followRedirects(false).build()

    /** One challenge at a time: requests that come meanwhile wait, and share the clearance. */
    private val challenge = Mutex()

    /** In memory only, and never written to disk. */
    private val held = mutableListOf<Clearance>()

    private class Clearance(val token: String, val scope: List<String>, var uses: Int, val until: Long)

    /**
     * Sends a request; on TURNSTILE_REQUIRED or CLEARANCE_EXPIRED solves one challenge and sends it once more, with the same id and body. The user's own
     * Authorization stays as it is. The caller closes the response.
     */
    suspend fun execute(original: Request): Response = withContext(Dispatchers.IO) {
        require(original.url.isHttps && original.url.host == baseUrl.host && original.url.port == baseUrl.port) { "Not our API" }
        require(original.body?.isOneShot() != true) { "A body that can be read only once cannot be sent again" }
        val request = original.newBuilder()
            .header("X-Device-Id", deviceId)
            .header("X-App-Version", appVersion)
            .header("X-Request-Id", original.header("X-Request-Id") ?: UUID.randomUUID().toString())
            .build()
        val clearance = take { one -> one.scope.any { covers(it, request.url.encodedPath) } }
        val first = send(request, clearance)
        val asked = challengeIn(first) ?: return@withContext first
        first.close()
        // What the gate did not take once it does not take again.
        if (clearance != null) synchronized(held) { held.remove(clearance) }
        val second = send(request, obtain(asked))
        // Twice is the end: a loop would be a challenge for every request, for ever.
        val again = challengeIn(second) ?: return@withContext second
        second.close()
        throw ClearanceRefused(again.getString("error"), null)
    }

    private fun send(request: Request, clearance: Clearance?): Response {
        val armed = clearance?.let { request.newBuilder().header("X-App-Clearance", it.token).build() } ?: request
        return http.newCall(armed).execute()
    }

    private fun challengeIn(response: Response): JSONObject? {
        if (response.code != 403) return null
        val body = jsonIn(response.peekBody(MAX_BODY).string()) ?: return null
        return body.takeIf { it.optString("error") == "TURNSTILE_REQUIRED" || it.optString("error") == "CLEARANCE_EXPIRED" }
    }

    /** A use of a clearance for what was asked: one in hand, or a new one. */
    private suspend fun obtain(asked: JSONObject): Clearance {
        val scope = asked.getJSONArray("scope").texts()
        val fits = { one: Clearance -> one.scope.containsAll(scope) }
        return challenge.withLock { take(fits) ?: verify(asked) }
    }

    /** A new clearance; one use of it is the caller's already. */
    private suspend fun verify(asked: JSONObject): Clearance {
        val token = solve(asked.getString("challenge_id"))
        val body = JSONObject()
            .put("challenge_id", asked.getString("challenge_id"))
            .put("turnstile_token", token)
            .put("original_request_id", asked.getString("original_request_id"))
            .put("device_id", deviceId)
            .put("app_version", appVersion)
            .toString()
            .toRequestBody("application/json".toMediaType())
        val url = baseUrl.newBuilder().encodedPath("/api/security/turnstile/verify").build()
        val request = Request.Builder().url(url).post(body).build()
        // The clock of the process, not of the wall: nobody has to set it right.
        val started = SystemClock.elapsedRealtime()
        val post = { http.newCall(request).execute().use { it.code to (jsonIn(it.peekBody(MAX_BODY).string()) ?: JSONObject()) } }
        // An answer may be lost on the way: the same token for the same challenge gives the same clearance, so once more is safe.
        val once = try {
            post().takeIf { it.first != 503 }
        } catch (lost: IOException) {
            null
        }
        val (status, answer) = once ?: run {
            delay(500)
            post()
        }
        if (status != 200) {
            val retryAfter = answer.optLong("retry_after_seconds", -1).takeIf { it >= 0 }
            throw ClearanceRefused(answer.optString("error", "UNAVAILABLE"), retryAfter)
        }
        val clearance = Clearance(
            answer.getString("app_clearance_token"),
            answer.getJSONArray("scope").texts(),
            answer.getInt("max_uses") - 1,
            started + answer.getLong("expires_in") * 1000,
        )
        synchronized(held) { held.add(clearance) }
        return clearance
    }

    private fun take(fits: (Clearance) -> Boolean): Clearance? = synchronized(held) {
        held.removeAll { it.uses <= 0 || it.until <= SystemClock.elapsedRealtime() }
        held.firstOrNull(fits)?.also { it.uses-- }
    }

    /** Whether to try: the gate decides. */
    private fun covers(pattern: String, path: String): Boolean =
        if (pattern.endsWith("/*")) "${path.lowercase()}/".startsWith(pattern.dropLast(1)) else path.lowercase().trimEnd('/') == pattern

    private fun jsonIn(text: String): JSONObject? = try {
        JSONObject(text)
    } catch (notJson: JSONException) {
        null
    }

    private fun JSONArray.texts(): List<String> = (0 until length()).map { getString(it) }

    private companion object {
        const val MAX_BODY = 16_384L
    }
}
