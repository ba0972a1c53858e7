package receiver;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.http.HttpHeaders;
import org.springframework.stereotype.Component;

/** CheckSum = sha1(AppSecret + MD5 + CurTime), with the MD5 of the body's raw bytes ("Data Sync Overview"). */
@Component
class Signature {
    /** Our own limit; widen it if a backlog may reach you with its old CurTime. Repeats are caught anyway. */
    private static final Duration OLDEST = Duration.ofHours(1);

    private final String appKey;
    private final String appSecret;

    Signature(@Value("${commsease.app-key}") String appKey, @Value("${commsease.app-secret}") String appSecret) {
        this.appKey = appKey;
        this.appSecret = appSecret;
    }

    boolean isValid(HttpHeaders headers, byte[] body) {
        String md5 = hex("MD5", body);
        String time = once(headers, "CurTime");
        String checkSum = hex("SHA-1", (appSecret + md5 + time).getBytes(UTF_8));
        return same(once(headers, "AppKey"), appKey)
                && same(once(headers, "MD5"), md5)
                && same(once(headers, "CheckSum"), checkSum)
                && isRecent(time);
    }

    private static String once(HttpHeaders headers, String name) {
        List<String> values = headers.getOrEmpty(name);
        return values.size() == 1 ? values.get(0) : "";
    }

    private static boolean same(String given, String expected) {
        return MessageDigest.isEqual(given.getBytes(UTF_8), expected.getBytes(UTF_8)); // in constant time
    }

    private static boolean isRecent(String millis) {
        if (!millis.matches("[0-9]{1,15}")) {
            return false;
        }
        Instant sent = Instant.ofEpochMilli(Long.parseLong(millis));
        return Duration.between(sent, Instant.now()).abs().compareTo(OLDEST) <= 0;
    }

    private static String hex(String algorithm, byte[] data) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance(algorithm).digest(data));
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
