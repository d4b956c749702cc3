// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using PasidFramework.Comparison.Spooling;

namespace PasidFramework.Comparison.Traces;

internal enum TraceLineKind
{
    Blank,
    Comment,
    Lost,
    Other,
    Event,
    Malformed,
}

/// <summary>
/// Reads one line of tracefs text:
/// <c>TASK-PID [(TGID)] [CPU] [flags] seconds.fraction: tracepoint: fields</c>.
/// </summary>
/// <remarks>
/// A task's name is up to 15 bytes of anything: blanks, colons, brackets, dashes. The names of our tracepoints are
/// longer than that, so they are searched for first; everything else is read from there to both sides.
/// </remarks>
internal static class TraceLine
{
    private const string Shape = "'TASK-PID [CPU] flags seconds.fraction: tracepoint: fields'";

    private static readonly (string Marker, TraceEventKind Kind)[] s_markers =
    [
        (": sched_process_fork: ", TraceEventKind.Fork),
        (": sched_process_exec: ", TraceEventKind.Exec),
        (": sched_process_exit: ", TraceEventKind.Exit),
    ];

    /// <summary>Reads a line.</summary>
    /// <param name="line">The line without its end.</param>
    /// <param name="names">Holds the names.</param>
    /// <param name="found">The event.</param>
    /// <param name="lost">Number of lost events, -1 where the line does not say how many.</param>
    /// <param name="expected">What was expected of a malformed line.</param>
    public static TraceLineKind Parse(
        ReadOnlySpan<char> line,
        int number,
        NameCache names,
        out TraceEvent found,
        out long lost,
        out string expected)
    {
        found = default;
        lost = 0;
        expected = string.Empty;
        ReadOnlySpan<char> text = line.Trim();
        if (text.IsEmpty)
        {
            return TraceLineKind.Blank;
        }

        if (text[0] == '#')
        {
            return TraceLineKind.Comment;
        }

        if (text.StartsWith("CPU:", StringComparison.Ordinal))
        {
            return ParseLost(text, out lost, out expected) ? TraceLineKind.Lost : TraceLineKind.Malformed;
        }

        foreach ((string marker, TraceEventKind kind) in s_markers)
        {
            int at = text.IndexOf(marker, StringComparison.Ordinal);
            if (at < 0)
            {
                continue;
            }

            if (!ParseHeader(text[..at], out long time, out expected))
            {
                return TraceLineKind.Malformed;
            }

            ReadOnlySpan<char> fields = text[(at + marker.Length)..].Trim();
            return ParseFields(fields, number, time, kind, names, out found, out expected)
                ? TraceLineKind.Event
                : TraceLineKind.Malformed;
        }

        return ParseOther(text, out expected) ? TraceLineKind.Other : TraceLineKind.Malformed;
    }

    // "CPU:1 [LOST 12 EVENTS]", or "CPU:1 [LOST EVENTS]" where the kernel does not know how many.
    private static bool ParseLost(ReadOnlySpan<char> text, out long lost, out string expected)
    {
        expected = "'CPU:n [LOST n EVENTS]'";
        lost = -1;
        int blank = text.IndexOf(' ');
        if (blank < 0 || !TryNumber(text[4..blank], out _))
        {
            return false;
        }

        ReadOnlySpan<char> rest = text[(blank + 1)..].Trim();
        if (rest.SequenceEqual("[LOST EVENTS]"))
        {
            return true;
        }

        const string Head = "[LOST ";
        const string Tail = " EVENTS]";
        return rest.Length > Head.Length + Tail.Length
            && rest.StartsWith(Head, StringComparison.Ordinal)
            && rest.EndsWith(Tail, StringComparison.Ordinal)
            && long.TryParse(
                rest[Head.Length..^Tail.Length], NumberStyles.None, CultureInfo.InvariantCulture, out lost);
    }

    // Everything up to the time stamp, read from its end because the task's name comes first.
    private static bool ParseHeader(ReadOnlySpan<char> header, out long time, out string expected)
    {
        ReadOnlySpan<char> stamp = LastToken(ref header);
        if (!TryTime(stamp, out time))
        {
            expected = $"a time stamp 'seconds.fraction' before the tracepoint's name, found '{stamp}'";
            return false;
        }

        ReadOnlySpan<char> cpu = LastToken(ref header);
        if (!IsCpu(cpu))
        {
            // The column of flags is there only with the irq-info option; its width depends on the kernel.
            cpu = LastToken(ref header);
        }

        if (!IsCpu(cpu))
        {
            expected = $"a column '[CPU]' before the time stamp in {Shape}";
            return false;
        }

        // With the option record-tgid the process's id stands between, padded with blanks, or dashes where it is
        // unknown.
        header = header.Trim();
        int open = header.EndsWith(")", StringComparison.Ordinal) ? header.LastIndexOf('(') : -1;
        if (open >= 0)
        {
            ReadOnlySpan<char> group = header[(open + 1)..^1].Trim();
            header = group.Trim('-').IsEmpty || TryNumber(group, out _) ? header[..open].TrimEnd() : header;
        }

        // A comm may hold dashes; the process id is what follows the last one.
        expected = $"'TASK-PID' before the column '[CPU]', found '{header}'";
        int dash = header.LastIndexOf('-');
        return header.IsEmpty || (dash >= 0 && TryNumber(header[(dash + 1)..], out _));
    }

    private static bool ParseFields(
        ReadOnlySpan<char> fields,
        int number,
        long time,
        TraceEventKind kind,
        NameCache names,
        out TraceEvent found,
        out string expected)
    {
        switch (kind)
        {
            case TraceEventKind.Fork:
                expected = "'comm=NAME pid=N child_comm=NAME child_pid=N' after sched_process_fork";
                return ParseFork(fields, number, time, names, out found);
            case TraceEventKind.Exec:
                expected = "'filename=PATH pid=N old_pid=N' after sched_process_exec";
                return ParseExec(fields, number, time, names, out found);
            default:
                expected = "'comm=NAME pid=N prio=N group_dead=true|false' after sched_process_exit"
                    + " (kernels that do not print group_dead are too old)";
                return ParseExit(fields, number, time, names, out found);
        }
    }

    private static bool ParseFork(
        ReadOnlySpan<char> fields, int number, long time, NameCache names, out TraceEvent found)
    {
        found = default;
        if (!TakeLastNumber(ref fields, " child_pid=", out int child) || !TakePrefix(ref fields, "comm="))
        {
            return false;
        }

        // Both names may hold the text that separates them. They are equal, as a new task starts with its parent's
        // name, so a split into equal halves is the right one; without such a split the first that reads is taken.
        const string Separator = " child_comm=";
        bool any = false;
        for (int at = 0; at < fields.Length; at++)
        {
            int next = fields[at..].IndexOf(Separator, StringComparison.Ordinal);
            if (next < 0)
            {
                break;
            }

            at += next;
            ReadOnlySpan<char> left = fields[..at];
            ReadOnlySpan<char> childName = fields[(at + Separator.Length)..];
            if (TakeLastNumber(ref left, " pid=", out int parent))
            {
                bool equal = left.SequenceEqual(childName);
                if (!any || equal)
                {
                    found = new TraceEvent(
                        number, time, TraceEventKind.Fork, parent, child, names.Get(childName), false);
                    any = true;
                }

                if (equal)
                {
                    break;
                }
            }
        }

        return any;
    }

    private static bool ParseExec(
        ReadOnlySpan<char> fields, int number, long time, NameCache names, out TraceEvent found)
    {
        found = default;
        if (!TakeLastNumber(ref fields, " old_pid=", out int old)
            || !TakeLastNumber(ref fields, " pid=", out int pid)
            || !TakePrefix(ref fields, "filename="))
        {
            return false;
        }

        found = new TraceEvent(number, time, TraceEventKind.Exec, pid, old, names.Get(fields), false);
        return true;
    }

    private static bool ParseExit(
        ReadOnlySpan<char> fields, int number, long time, NameCache names, out TraceEvent found)
    {
        found = default;
        bool dead = fields.EndsWith(" group_dead=true", StringComparison.Ordinal);
        if (!dead && !fields.EndsWith(" group_dead=false", StringComparison.Ordinal))
        {
            return false;
        }

        fields = fields[..fields.LastIndexOf(' ')];
        int prio = fields.LastIndexOf(" prio=", StringComparison.Ordinal);
        if (prio < 0
            || !int.TryParse(
                fields[(prio + 6)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _))
        {
            return false;
        }

        fields = fields[..prio];
        if (!TakeLastNumber(ref fields, " pid=", out int pid)
            || !TakePrefix(ref fields, "comm="))
        {
            return false;
        }

        found = new TraceEvent(number, time, TraceEventKind.Exit, pid, 0, names.Get(fields), dead);
        return true;
    }

    // Another tracepoint: any split at a colon that leaves a good header to its left will do, it is only passed over.
    private static bool ParseOther(ReadOnlySpan<char> text, out string expected)
    {
        expected = Shape;
        for (int at = 0; at < text.Length; at++)
        {
            int next = text[at..].IndexOf(": ", StringComparison.Ordinal);
            if (next < 0)
            {
                return false;
            }

            at += next;
            ReadOnlySpan<char> rest = text[(at + 2)..].TrimStart();
            int end = rest.IndexOf(':');
            if (end > 0
                && rest[..end].IndexOfAnyExcept(s_nameCharacters) < 0
                && !rest[..end].StartsWith("sched_process_", StringComparison.Ordinal)
                && ParseHeader(text[..at], out _, out _))
            {
                return true;
            }
        }

        return false;
    }

    private static readonly System.Buffers.SearchValues<char> s_nameCharacters =
        System.Buffers.SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    private static bool TakePrefix(ref ReadOnlySpan<char> text, string prefix)
    {
        if (!text.StartsWith(prefix, StringComparison.Ordinal))
        {
            return false;
        }

        text = text[prefix.Length..];
        return true;
    }

    private static bool TakeLastNumber(ref ReadOnlySpan<char> text, string key, out int value)
    {
        int at = text.LastIndexOf(key, StringComparison.Ordinal);
        if (at < 0 || !TryNumber(text[(at + key.Length)..], out value))
        {
            value = 0;
            return false;
        }

        text = text[..at];
        return true;
    }

    private static ReadOnlySpan<char> LastToken(ref ReadOnlySpan<char> text)
    {
        text = text.TrimEnd();
        int blank = text.LastIndexOfAny(' ', '\t');
        ReadOnlySpan<char> token = text[(blank + 1)..];
        text = text[..(blank + 1)];
        return token;
    }

    private static bool IsCpu(ReadOnlySpan<char> token) =>
        token.Length > 2 && token[0] == '[' && token[^1] == ']' && TryNumber(token[1..^1], out _);

    private static bool TryNumber(ReadOnlySpan<char> text, out int value) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);

    // Seconds with one to nine digits of fraction; nine digits of seconds are 31 years.
    private static bool TryTime(ReadOnlySpan<char> text, out long nanoseconds)
    {
        nanoseconds = 0;
        int dot = text.IndexOf('.');
        ReadOnlySpan<char> fraction = dot < 0 ? default : text[(dot + 1)..];
        if (dot is < 1 or > 9
            || fraction.Length is < 1 or > 9
            || !long.TryParse(text[..dot], NumberStyles.None, CultureInfo.InvariantCulture, out long seconds)
            || !long.TryParse(fraction, NumberStyles.None, CultureInfo.InvariantCulture, out long part))
        {
            return false;
        }

        for (int digits = fraction.Length; digits < 9; digits++)
        {
            part *= 10;
        }

        nanoseconds = (seconds * 1_000_000_000) + part;
        return true;
    }
}
