package millstream.bench;

import org.apache.flink.table.functions.ScalarFunction;

/** The user function of NEXMark q14: how often a character stands in a text. */
public class CountChar extends ScalarFunction {
    public Long eval(String text, String character) {
        if (text == null || character == null || character.isEmpty())
            return null;
        final char c = character.charAt(0);
        long count = 0;

        for (int i = 0; i < text.length(); i++)
            if (text.charAt(i) == c)
                count++;
        return count;
    }
}
