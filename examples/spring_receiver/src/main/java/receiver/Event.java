package receiver;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.springframework.http.HttpStatus;
import org.springframework.web.server.ResponseStatusException;

/** A payload, read without trust: any field may be missing, and numbers come as texts too. */
record Event(JsonNode fields, String payload) {
    String kind() {
        return text("/eventType");
    }

    String text(String pointer) {
        JsonNode found = fields.at(pointer);
        if (found.isContainerNode()) {
            throw wrong(pointer);
        }
        if (found.isFloatingPointNumber() && found.canConvertToExactIntegral()) {
            return found.bigIntegerValue().toString(); // 1.0 and 1 are one number
        }
        return found.isNull() ? "" : found.asText();
    }

    /** A number; null where there is none. */
    Long number(String pointer) {
        String text = text(pointer);
        try {
            return text.isEmpty() ? null : Long.valueOf(text);
        } catch (NumberFormatException error) {
            throw wrong(pointer);
        }
    }

    /** A number that must be there. */
    long time(String pointer) {
        Long found = number(pointer);
        if (found == null) {
            throw wrong(pointer);
        }
        return found;
    }

    /** The values of some fields, as one key: no two lists of values give the same. */
    String key(String... pointers) {
        return Stream.of(pointers).map(this::text).map(value -> value.length() + ":" + value).collect(Collectors.joining());
    }

    private static ResponseStatusException wrong(String pointer) {
        return new ResponseStatusException(HttpStatus.BAD_REQUEST, "not what " + pointer + " is documented to be");
    }
}
