// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace PasidFramework.Records;

/// <summary>Structures by id, over all formats that are loaded.</summary>
public sealed class StructureCatalog
{
    private const int LongestShown = 60;
    private readonly Dictionary<string, Layout> _byId = new(StringComparer.Ordinal);

    /// <summary>Puts a catalogue together.</summary>
    /// <param name="layouts">The structures.</param>
    /// <exception cref="ArgumentException">Two have one id.</exception>
    public StructureCatalog(IEnumerable<Layout> layouts)
    {
        ArgumentNullException.ThrowIfNull(layouts);
        foreach (Layout layout in layouts)
        {
            if (!_byId.TryAdd(layout.Id, layout))
            {
                throw new ArgumentException($"Two structures have the id {layout.Id}.", nameof(layouts));
            }
        }

        All = [.. _byId.Values.OrderBy(l => l.Id, StringComparer.Ordinal)];
    }

    /// <summary>All structures, by id.</summary>
    public IReadOnlyList<Layout> All { get; }

    /// <summary>Finds a structure.</summary>
    public bool TryFind(ReadOnlySpan<char> id, [NotNullWhen(true)] out Layout? layout) =>
        _byId.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(id, out layout);

    /// <summary>A name as a message may show it: cut, between characters, where it is very long.</summary>
    /// <param name="name">A name from somewhere outside.</param>
    public static string Shorten(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return name.Length <= LongestShown ? name
            : $"{name[..(char.IsHighSurrogate(name[LongestShown - 1]) ? LongestShown - 1 : LongestShown)]}...";
    }

    /// <summary>The refusal for an unknown id: it names what comes nearest.</summary>
    public OpResult Unknown(string id)
    {
        ArgumentNullException.ThrowIfNull(id);
        if (id.Length > LongestShown)
        {
            return OpResult.Refuse(Errno.EINVAL, $"no structure '{Shorten(id)}'");
        }

        string[] near =
        [
            .. All.Select(layout => (layout.Id, Distance: Near(layout.Id, id)))
                .Where(known => known.Distance < int.MaxValue)
                .OrderBy(known => known.Distance).ThenBy(known => known.Id, StringComparer.Ordinal)
                .Take(3).Select(known => known.Id),
        ];
        return OpResult.Refuse(
            Errno.EINVAL,
            near.Length == 0 ? $"no structure '{id}'"
                : $"no structure '{id}'; did you mean {string.Join(", ", near)}?");
    }

    // How far apart two ids are; the greatest number where neither can be mistaken for the other.
    private static int Near(string known, string id)
    {
        const int MaxTypingErrors = 3;
        int distance = Math.Abs(known.Length - id.Length) <= MaxTypingErrors ? Distance(known, id) : int.MaxValue;
        return distance <= MaxTypingErrors ? distance
            : id.Length > 0 && (known.Contains(id, StringComparison.OrdinalIgnoreCase)
                || id.EndsWith(known[(known.LastIndexOf('/') + 1)..], StringComparison.OrdinalIgnoreCase))
                ? MaxTypingErrors + Math.Abs(known.Length - id.Length)
                : int.MaxValue;
    }

    // Edit distance: ids are short and this runs once per mistake.
    private static int Distance(string a, string b)
    {
        var row = new int[b.Length + 1];
        for (int j = 0; j <= b.Length; j++)
        {
            row[j] = j;
        }

        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int above = row[j];
                row[j] = Math.Min(Math.Min(above, row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                diagonal = above;
            }
        }

        return row[b.Length];
    }
}
