// SPDX-License-Identifier: Apache-2.0
using System.Text;
using System.Text.Json;

namespace PasidFramework.Comparison.Scenarios;

/// <summary>A value of a JSON text that knows its line and path.</summary>
internal sealed class JsonTree
{
    private JsonTree(JsonTokenType type, int line, string path)
    {
        Type = type;
        Line = line;
        Path = path;
    }

    public JsonTokenType Type { get; }
    public int Line { get; }
    public string Path { get; }

    /// <summary>The text of a string, or the digits of a number as they stand.</summary>
    public string Text { get; private set; } = string.Empty;

    public List<(string Name, int Line, JsonTree Value)> Members { get; } = [];
    public List<JsonTree> Items { get; } = [];

    public string Shown => Type switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "a list",
        JsonTokenType.String => $"\"{Text}\"",
        JsonTokenType.True => "true",
        JsonTokenType.False => "false",
        JsonTokenType.Null => "null",
        _ => Text,
    };

    /// <summary>Reads a text; comments are passed over, a name twice in one object is an error.</summary>
    /// <exception cref="ScenarioException">The text is not JSON.</exception>
    public static JsonTree Parse(ReadOnlySpan<byte> utf8)
    {
        if (utf8.StartsWith(Encoding.UTF8.Preamble))
        {
            utf8 = utf8[Encoding.UTF8.Preamble.Length..];
        }

        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions
        {
            CommentHandling = JsonCommentHandling.Skip,
            AllowTrailingCommas = true,
            MaxDepth = 16,
        });
        var lines = new LineCounter();
        try
        {
            if (!reader.Read())
            {
                throw new ScenarioException(1, "the file is empty; expected a JSON object");
            }

            JsonTree root = Value(utf8, ref reader, ref lines, "$");
            while (reader.Read())
            {
                // What follows the root is reported by the reader itself.
            }

            return root;
        }
        catch (JsonException e)
        {
            // The reader's own message repeats the position in its own words after the first sentence.
            string text = e.Message;
            int end = text.IndexOf(" LineNumber:", StringComparison.Ordinal);
            text = (end < 0 ? text : text[..end]).TrimEnd('.');
            throw new ScenarioException((int)(e.LineNumber ?? 0) + 1, $"expected well-formed JSON: {text}");
        }
    }

    private static JsonTree Value(
        ReadOnlySpan<byte> utf8, ref Utf8JsonReader reader, ref LineCounter lines, string path)
    {
        int line = lines.At(utf8, reader.TokenStartIndex);
        var value = new JsonTree(reader.TokenType, line, path);
        switch (reader.TokenType)
        {
            case JsonTokenType.String:
                value.Text = reader.GetString()!;
                break;
            case JsonTokenType.Number:
                value.Text = Encoding.UTF8.GetString(reader.ValueSpan);
                break;
            case JsonTokenType.StartArray:
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    string item = Text($"{path}[{value.Items.Count}]");
                    value.Items.Add(Value(utf8, ref reader, ref lines, item));
                }

                break;
            case JsonTokenType.StartObject:
                while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
                {
                    string name = reader.GetString()!;
                    int nameLine = lines.At(utf8, reader.TokenStartIndex);
                    if (value.Members.Exists(m => m.Name == name))
                    {
                        throw new ScenarioException(nameLine, $"{path}.{name} is there twice; expected it once");
                    }

                    reader.Read();
                    value.Members.Add((name, nameLine, Value(utf8, ref reader, ref lines, $"{path}.{name}")));
                }

                break;
            default:
                break;
        }

        return value;
    }

    // Tokens come in order, so every line end is counted once.
    private struct LineCounter
    {
        private long _at;
        private int _ends;

        public int At(ReadOnlySpan<byte> utf8, long index)
        {
            _ends += utf8[(int)_at..(int)index].Count((byte)'\n');
            _at = index;
            return _ends + 1;
        }
    }
}
