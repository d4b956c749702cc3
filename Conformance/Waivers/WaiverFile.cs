// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace PasidFramework.Conformance.Waivers;

/// <summary>
/// Reads known failures from a file: a JSON array of <c>{"id","hardware","reason","issue","expires"}</c>. All but
/// <c>hardware</c> are required, so that each has an owner and an end; nothing else is accepted, so that a typing error
/// does not excuse more than was meant. What is wrong is one line: file, line, column, what, which limit.
/// </summary>
public static class WaiverFile
{
    /// <summary>Largest file in bytes.</summary>
    public const int MaxBytes = 1 << 20;

    /// <summary>Longest text of a key in characters.</summary>
    public const int LongestText = 1000;

    private static readonly string[] s_keys = ["id", "hardware", "reason", "issue", "expires"];

    /// <returns>The waivers; ENOENT, EPERM or EIO (the file cannot be read), EINVAL (what is in it).</returns>
    public static OpResult<IReadOnlyList<Waiver>> Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string name = Shown(Path.GetFileName(path) is { Length: > 0 } file ? file : path);
        try
        {
            using FileStream stream = File.OpenRead(path);
            return Load(stream, name);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return OpResult<IReadOnlyList<Waiver>>.Refuse(Errno.ENOENT, $"{name}: there is no such file");
        }
        catch (UnauthorizedAccessException)
        {
            return OpResult<IReadOnlyList<Waiver>>.Refuse(Errno.EPERM, $"{name}: not a file that may be read");
        }
        catch (IOException e)
        {
            return OpResult<IReadOnlyList<Waiver>>.Refuse(Errno.EIO, $"{name}: {Shown(e.Message)}");
        }
    }

    /// <summary>Reads a stream to its end.</summary>
    /// <param name="stream">UTF-8, with or without a byte order mark.</param>
    /// <param name="name">What messages call it.</param>
    /// <returns>The waivers; EINVAL.</returns>
    public static OpResult<IReadOnlyList<Waiver>> Load(Stream stream, string name)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(name);
        byte[] bytes = new byte[MaxBytes + 1];
        int count = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        if (count > MaxBytes)
        {
            return Refuse(name, Text($"longer than {MaxBytes} bytes"));
        }

        ReadOnlySpan<byte> text = bytes.AsSpan(0, count);
        text = text.StartsWith(Encoding.UTF8.Preamble) ? text[Encoding.UTF8.Preamble.Length..] : text;
        var reader = new Utf8JsonReader(text);
        try
        {
            return OpResult<IReadOnlyList<Waiver>>.Ok(ReadAll(ref reader));
        }
        catch (WaiverError e)
        {
            return Refuse(name, $"{Where(text, e.At ?? reader.TokenStartIndex)}: {e.Message}");
        }
        catch (JsonException e)
        {
            // The reader's message ends with its own words for the place.
            string message = e.Message;
            int end = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
            return Refuse(name,
                Text($"line {(e.LineNumber ?? 0) + 1}, column {(e.BytePositionInLine ?? 0) + 1}: not JSON: ")
                + Shown(end < 0 ? message : message[..end]));
        }
        catch (InvalidOperationException)
        {
            // A string with half a character in it.
            return Refuse(name, $"{Where(text, reader.TokenStartIndex)}: not UTF-8 text");
        }
    }

    private static List<Waiver> ReadAll(ref Utf8JsonReader reader)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartArray)
        {
            throw new WaiverError("must be an array of waivers: [ ... ]");
        }

        List<Waiver> waivers = [];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                throw new WaiverError("each waiver must be an object: { \"id\": ... }");
            }

            long begin = reader.TokenStartIndex;
            Waiver waiver = ReadOne(ref reader);
            if (waivers.Any(w => w.Id == waiver.Id && w.Hardware == waiver.Hardware))
            {
                throw new WaiverError(
                    $"{waiver.Id}{(waiver.Hardware is null ? string.Empty : $" on {Shown(waiver.Hardware)}")} has a "
                        + $"waiver already")
                {
                    At = begin,
                };
            }

            waivers.Add(waiver);
        }

        // What comes after the array is the reader's to refuse.
        reader.Read();
        return waivers;
    }

    private static Waiver ReadOne(ref Utf8JsonReader reader)
    {
        long begin = reader.TokenStartIndex;
        Dictionary<string, string> values = [];
        DateOnly expires = default;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            if (!s_keys.Contains(key))
            {
                throw new WaiverError($"unknown key '{Shown(key)}'; expected one of {string.Join(", ", s_keys)}");
            }

            if (values.ContainsKey(key))
            {
                throw new WaiverError($"'{key}' is there twice");
            }

            reader.Read();
            values[key] = ReadText(ref reader, key);
            if (key == "id" && !ConformanceCatalogue.Cases.Any(c => c.Id == values[key]))
            {
                throw new WaiverError($"'{Shown(values[key])}' is no case of catalogue {ConformanceCatalogue.Version}");
            }

            if (key == "expires" && !DateOnly.TryParseExact(
                values[key], "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out expires))
            {
                throw new WaiverError($"'expires' is '{Shown(values[key])}', must be a date like 2027-03-31");
            }
        }

        foreach (string key in s_keys)
        {
            if (key != "hardware" && !values.ContainsKey(key))
            {
                throw new WaiverError($"the waiver has no '{key}'") { At = begin };
            }
        }

        return new Waiver(values["id"], values.GetValueOrDefault("hardware"), values["reason"], values["issue"],
            expires);
    }

    private static string ReadText(ref Utf8JsonReader reader, string key)
    {
        if (reader.TokenType != JsonTokenType.String)
        {
            throw new WaiverError($"'{key}' must be a string");
        }

        string text = reader.GetString()!;
        return string.IsNullOrWhiteSpace(text) ? throw new WaiverError($"'{key}' is empty")
            : text.Length > LongestText
                ? throw new WaiverError(Text($"'{key}' has {text.Length} characters, at most {LongestText}"))
                : text;
    }

    private static OpResult<IReadOnlyList<Waiver>> Refuse(string name, string what) =>
        OpResult<IReadOnlyList<Waiver>>.Refuse(Errno.EINVAL, $"{name}: {what}");

    private static string Where(ReadOnlySpan<byte> text, long index)
    {
        ReadOnlySpan<byte> before = text[..(int)Math.Min(index, text.Length)];
        int line = before.Count((byte)'\n') + 1;
        return Text($"line {line}, column {before.Length - before.LastIndexOf((byte)'\n')}");
    }

    private static string Shown(string text) =>
        HarmlessText.Line(text.Length <= 60 ? text : $"{text[..57]}...");

    private sealed class WaiverError(string message) : Exception(message)
    {
        /// <summary>Where in the file, in bytes; null where the reader is.</summary>
        public long? At { get; init; }
    }
}
