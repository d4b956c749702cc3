// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace PasidFramework.Cli.Structures;

/// <summary>
/// Encodes or explains one JSON object a line. A line that is wrong becomes an error object in its place; all others
/// are not touched by it. Memory does not grow with the number of lines.
/// </summary>
internal sealed class StructureStream : IDisposable
{
    private const int FlushBytes = 1 << 16;
    private const int MaxRemembered = 256;
    private static readonly JsonEncodedText s_structure = JsonEncodedText.Encode("structure");
    private static readonly JsonEncodedText s_fields = JsonEncodedText.Encode("fields");
    private static readonly JsonEncodedText s_words = JsonEncodedText.Encode("words64");
    private static readonly JsonEncodedText s_bytes = JsonEncodedText.Encode("bytes");
    private static readonly JsonEncodedText s_violations = JsonEncodedText.Encode("violations");
    private readonly StructureCatalog _catalog;
    private readonly FrozenDictionary<string, Known> _known;
    private readonly FrozenDictionary<string, Known>.AlternateLookup<ReadOnlySpan<char>> _byId;
    private readonly ArrayBufferWriter<byte> _buffer = new(FlushBytes * 2);
    private readonly Utf8JsonWriter _json;
    private readonly ulong[] _words;
    private readonly byte[] _raw;
    private readonly bool[] _given;
    private readonly Dictionary<string, string> _unknown = new(StringComparer.Ordinal);
    private char[] _text = new char[256];
    private Known? _last;

    public StructureStream(StructureCatalog catalog)
    {
        _catalog = catalog;
        _known =
            catalog.All.ToFrozenDictionary(layout => layout.Id, layout => new Known(layout), StringComparer.Ordinal);
        _byId = _known.GetAlternateLookup<ReadOnlySpan<char>>();
        _words = new ulong[catalog.All.Max(layout => layout.Words)];
        _raw = new byte[_words.Length * 8];
        _given = new bool[catalog.All.Max(layout => layout.Fields.Count)];
        _json = new Utf8JsonWriter(_buffer, new JsonWriterOptions
        {
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            SkipValidation = true,
        });
    }

    private enum Part
    {
        None,
        Structure,
        Fields,
        Words,
        Bytes,
        Violations,
        Error,
        Line,
    }

    /// <param name="output">One line for each line that is not blank.</param>
    /// <returns>Lines that were wrong.</returns>
    public long Run(Stream input, Stream output, bool encode)
    {
        long wrong = 0;
        void Flush()
        {
            output.Write(_buffer.WrittenSpan);
            output.Flush();
            _buffer.ResetWrittenCount();
        }

        var reader = new LineReader(input, Flush);
        while (reader.TryRead(out ReadOnlySpan<byte> line, out bool isTooLong))
        {
            if (reader.Number == 1 && line.StartsWith("\uFEFF"u8))
            {
                line = line[3..];
            }

            if (!isTooLong && line.Trim(" \t\r"u8).IsEmpty)
            {
                continue;
            }

            if (!encode && !isTooLong && TryExplainPlain(line))
            {
                EndLine(Flush);
                continue;
            }

            // What is wrong is known before anything of the line is written.
            _json.Reset();
            string? error = isTooLong
                ? Text($"the line is longer than {LineReader.MaxBytes} bytes")
                : Convert(line, encode);
            if (error is not null)
            {
                wrong++;
                _json.WriteStartObject();
                _json.WriteString("error", error);
                _json.WriteNumber("line", reader.Number);
                _json.WriteEndObject();
            }

            _json.Flush();
            EndLine(Flush);
        }

        Flush();
        return wrong;
    }

    public void Dispose() => _json.Dispose();

    private void EndLine(Action flush)
    {
        _buffer.GetSpan(1)[0] = (byte)'\n';
        _buffer.Advance(1);
        if (_buffer.WrittenCount >= FlushBytes)
        {
            flush();
        }
    }

    // Most lines have the form in which programs write them and nothing wrong in them.
    private bool TryExplainPlain(ReadOnlySpan<byte> line)
    {
        var plain = new PlainLine(line);
        if (!plain.TryReadId(out ReadOnlySpan<byte> id))
        {
            return false;
        }

        if (_last is null || !id.SequenceEqual(_last.Id.EncodedUtf8Bytes))
        {
            Span<char> text = Room(id.Length);
            if (!_byId.TryGetValue(text[..Encoding.UTF8.GetChars(id, text)], out _last))
            {
                return false;
            }
        }

        Layout layout = _last.Layout;
        Span<ulong> words = _words.AsSpan(0, layout.Words);
        if (!plain.TryReadContent(words, layout.Bytes) || StructureInput.CheckLastWord(layout, words) is not null)
        {
            return false;
        }

        IReadOnlyList<Violation> violations = layout.Check(words);
        if (violations.Count == 0)
        {
            _buffer.Advance(_last.Explained.Write(words, _buffer.GetSpan(_last.Explained.MaxBytes)));
        }
        else
        {
            _json.Reset();
            Write(_last, words, violations);
            _json.Flush();
        }

        return true;
    }

    private string? Convert(ReadOnlySpan<byte> line, bool encode)
    {
        try
        {
            string? error = Find(line, out Found found);
            if (error is not null)
            {
                return error;
            }

            return encode ? Encode(line, found) : Explain(line, found);
        }
        catch (JsonException e)
        {
            return Text($"not a JSON object in one line: {OneLine(e)}");
        }
        catch (InvalidOperationException)
        {
            // The reader's word for escapes that stand for no character.
            return "not valid Unicode text";
        }
    }

    private static string OneLine(JsonException e) =>
        Text($"invalid at byte {(e.BytePositionInLine ?? 0) + 1}");

    // The keys may come in any order and the structure decides how to read the rest: first find where everything is.
    private string? Find(ReadOnlySpan<byte> line, out Found found)
    {
        found = default;
        var reader = new Utf8JsonReader(line);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return "not a JSON object";
        }

        string? inherited = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            Part part = Which(ref reader);
            string? key = part == Part.None ? reader.GetString() : null;
            reader.Read();
            switch (part)
            {
                case Part.Structure when reader.TokenType != JsonTokenType.String:
                    return "structure is not a string";
                case Part.Structure when found.Known is not null:
                    return "structure is given twice";
                case Part.Structure:
                    if (!_byId.TryGetValue(Chars(ref reader), out found.Known))
                    {
                        return Unknown(reader.GetString()!);
                    }

                    break;
                case Part.Fields when Place("fields", ref found.Fields, reader, JsonTokenType.StartObject) is { } wrong:
                    return wrong;
                case Part.Words when Place("words64", ref found.Words, reader, JsonTokenType.StartArray) is { } wrong:
                    return wrong;
                case Part.Bytes when Place("bytes", ref found.Bytes, reader, JsonTokenType.String) is { } wrong:
                    return wrong;
                case Part.Error when inherited is not null:
                    return "error is given twice";
                case Part.Error when reader.TokenType != JsonTokenType.String:
                    return "error is not a string";
                case Part.Error:
                    inherited = reader.GetString();
                    break;
                case Part.None:
                    return $"unknown key '{Short(key!)}'; known are structure, fields, words64, bytes";
                default:
                    break;
            }

            reader.Skip();
        }

        // Whatever follows the object is an error of the reader.
        if (reader.Read())
        {
            return "more than one JSON value";
        }

        // An error line of the other direction stays what it is.
        return inherited ?? (found.Known is null ? "no structure is given" : null);
    }

    // Notes where a key's value begins; or says what is wrong with it.
    private static string? Place(string key, ref int place, in Utf8JsonReader reader, JsonTokenType type)
    {
        if (place != 0 || reader.TokenType != type)
        {
            return place != 0 ? $"{key} is given twice"
                : $"{key} is not {(type == JsonTokenType.StartObject ? "an object" : type == JsonTokenType.StartArray
                    ? "an array" : "a string")}";
        }

        place = (int)reader.TokenStartIndex;
        return null;
    }

    // A file with one wrong id has it in many lines, and finding what was meant takes a while.
    private string Unknown(string id)
    {
        if (!_unknown.TryGetValue(id, out string? error))
        {
            error = _catalog.Unknown(id).Reason!;
            if (_unknown.Count < MaxRemembered)
            {
                _unknown.Add(id, error);
            }
        }

        return error;
    }

    private static Part Which(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("structure"u8) ? Part.Structure
        : reader.ValueTextEquals("fields"u8) ? Part.Fields
        : reader.ValueTextEquals("words64"u8) ? Part.Words
        : reader.ValueTextEquals("bytes"u8) ? Part.Bytes
        : reader.ValueTextEquals("violations"u8) ? Part.Violations
        : reader.ValueTextEquals("error"u8) ? Part.Error
        : reader.ValueTextEquals("line"u8) ? Part.Line
        : Part.None;

    private string? Encode(ReadOnlySpan<byte> line, Found found)
    {
        Known known = found.Known!;
        if (found.Fields == 0)
        {
            return "no fields are given";
        }

        Layout layout = known.Layout;
        Span<ulong> words = _words.AsSpan(0, layout.Words);
        layout.Initialize(words);
        Array.Clear(_given);
        var reader = new Utf8JsonReader(line[found.Fields..]);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (!known.Fields.TryGetValue(Chars(ref reader), out NamedField? field))
            {
                return Text($"{layout.Id} has no field '{Short(reader.GetString()!)}'");
            }

            if (_given[field.Index])
            {
                return Text($"{layout.Id}: {field.Field.Mnemonic} is given twice");
            }

            _given[field.Index] = true;
            reader.Read();
            if (!TryNumber(ref reader, isWord: false, out ulong value))
            {
                return Text($"{layout.Id}: {field.Field.Mnemonic} is not {Number.Expected}");
            }

            OpResult set = layout.TrySet(words, field.Field, value);
            if (!set.IsOk)
            {
                return set.Reason;
            }
        }

        _json.WriteStartObject();
        _json.WriteString(s_structure, known.Id);
        _json.WriteStartArray(s_words);
        Span<char> hex = stackalloc char[18];
        foreach (ulong word in words)
        {
            _ = hex.TryWrite(CultureInfo.InvariantCulture, $"0x{word:x}", out int length);
            _json.WriteStringValue(hex[..length]);
        }

        _json.WriteEndArray();
        layout.WriteBytes(words, _raw);
        Span<char> bytes = Room(layout.Bytes * 2);
        _ = System.Convert.TryToHexStringLower(_raw.AsSpan(0, layout.Bytes), bytes, out int digits);
        _json.WriteString(s_bytes, bytes[..digits]);
        IReadOnlyList<Violation> violations = layout.Check(words);
        if (violations.Count > 0)
        {
            Write(violations);
        }

        _json.WriteEndObject();
        return null;
    }

    private string? Explain(ReadOnlySpan<byte> line, Found found)
    {
        Known known = found.Known!;
        Layout layout = known.Layout;
        if (found.Words == 0 && found.Bytes == 0)
        {
            return "neither words64 nor bytes is given";
        }

        Span<ulong> words = _words.AsSpan(0, layout.Words);
        if (found.Words != 0 && ReadWords(line[found.Words..], layout, words) is { } error)
        {
            return error;
        }

        if (found.Bytes != 0)
        {
            Span<ulong> fromBytes = stackalloc ulong[words.Length];
            if (ReadBytes(line[found.Bytes..], layout, fromBytes) is { } problem)
            {
                return problem;
            }

            if (found.Words != 0 && !words.SequenceEqual(fromBytes))
            {
                return "words64 and bytes differ";
            }

            fromBytes.CopyTo(words);
        }

        Write(known, words, layout.Check(words));
        return null;
    }

    private void Write(Known known, ReadOnlySpan<ulong> words, IReadOnlyList<Violation> violations)
    {
        _json.WriteStartObject();
        _json.WriteString(s_structure, known.Id);
        _json.WriteStartObject(s_fields);
        foreach (NamedField field in known.Named)
        {
            _json.WriteNumber(field.Name, field.Field.Get(words));
        }

        _json.WriteEndObject();
        Write(violations);
        _json.WriteEndObject();
    }

    private void Write(IReadOnlyList<Violation> violations)
    {
        _json.WriteStartArray(s_violations);
        foreach (Violation violation in violations)
        {
            _json.WriteStartObject();
            _json.WriteString("field", violation.Field);
            _json.WriteString("message", violation.Message);
            _json.WriteEndObject();
        }

        _json.WriteEndArray();
    }

    private string? ReadWords(ReadOnlySpan<byte> json, Layout layout, Span<ulong> words)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        int count = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (count == words.Length)
            {
                return StructureInput.WrongWords(layout, -1);
            }

            if (!TryNumber(ref reader, isWord: true, out words[count]))
            {
                return Text($"word {count} is not {Number.ExpectedWord}");
            }

            count++;
        }

        return count < words.Length
            ? StructureInput.WrongWords(layout, count)
            : StructureInput.CheckLastWord(layout, words);
    }

    private string? ReadBytes(ReadOnlySpan<byte> json, Layout layout, Span<ulong> words)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        return StructureInput.ReadBytes(Chars(ref reader), layout, words);
    }

    private bool TryNumber(ref Utf8JsonReader reader, bool isWord, out ulong value)
    {
        value = 0;
        return reader.TokenType switch
        {
            JsonTokenType.Number => reader.TryGetUInt64(out value),
            JsonTokenType.String when isWord => Number.TryParseWord(Chars(ref reader), out value),
            JsonTokenType.String => Number.TryParse(Chars(ref reader), out value),
            _ => false,
        };
    }

    private static string Short(string text) => StructureCatalog.Shorten(text);

    private ReadOnlySpan<char> Chars(ref Utf8JsonReader reader)
    {
        int bytes = reader.HasValueSequence ? (int)reader.ValueSequence.Length : reader.ValueSpan.Length;
        Span<char> room = Room(bytes);
        return room[..reader.CopyString(room)];
    }

    private Span<char> Room(int chars)
    {
        if (_text.Length < chars)
        {
            _text = new char[Math.Max(chars, _text.Length * 2)];
        }

        return _text;
    }

    // Where the parts of a line begin; 0 for what is not there.
    private struct Found
    {
        public Known? Known;
        public int Fields;
        public int Words;
        public int Bytes;
    }

    private sealed record NamedField(LayoutField Field, int Index, JsonEncodedText Name);

    private sealed class Known
    {
        public Known(Layout layout)
        {
            Layout = layout;
            Id = JsonEncodedText.Encode(layout.Id);
            Named =
            [
                .. layout.Fields.Where(f => f.IsNamed)
                    .Select((f, i) => new NamedField(f, i,
                        JsonEncodedText.Encode(f.Mnemonic, JavaScriptEncoder.UnsafeRelaxedJsonEscaping))),
            ];
            Explained = new ExplainedLine(layout);
            Fields = Named.ToFrozenDictionary(f => f.Field.Mnemonic, StringComparer.Ordinal)
                .GetAlternateLookup<ReadOnlySpan<char>>();
        }

        public Layout Layout { get; }
        public JsonEncodedText Id { get; }
        public NamedField[] Named { get; }
        public ExplainedLine Explained { get; }
        public FrozenDictionary<string, NamedField>.AlternateLookup<ReadOnlySpan<char>> Fields { get; }
    }
}
