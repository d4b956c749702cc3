// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hosting.Plugins;

/// <summary>
/// Finds what claims to be a plug-in: in every sub-folder, and among the files that lie loose in the directory, the
/// assemblies with exports; where a group has none, the assemblies that no other one of the group references.
/// </summary>
internal static class PluginFinder
{
    /// <returns>Candidates in ordinal order of their paths.</returns>
    public static IReadOnlyList<AssemblyHeader> Find(
        IEnumerable<string> directories,
        IReadOnlySet<string> shared,
        ICollection<RefusedPlugin> refusals,
        ICollection<string> warnings)
    {
        List<AssemblyHeader> candidates = [];
        HashSet<string> seen = new(StringComparer.Ordinal);
        foreach (string directory in directories)
        {
            if (!seen.Add(directory))
            {
                continue;
            }

            if (!Directory.Exists(directory))
            {
                string why = File.Exists(directory) ? "is a file, not a directory of plug-ins" : "no such directory";
                refusals.Add(new RefusedPlugin(directory, RefusalReason.DirectoryUnreadable, why));
                continue;
            }

            try
            {
                FindInGroup(directory, isFolder: false, shared, candidates, refusals, warnings);
                foreach (string folder in Directory.EnumerateDirectories(directory).Order(StringComparer.Ordinal))
                {
                    FindInGroup(folder, isFolder: true, shared, candidates, refusals, warnings);
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                refusals.Add(new RefusedPlugin(directory, RefusalReason.DirectoryUnreadable,
                    $"cannot be read: {AssemblyHeader.OneLine(exception.Message)}"));
            }
        }

        candidates.Sort((left, right) => string.CompareOrdinal(left.Path, right.Path));
        return candidates;
    }

    private static void FindInGroup(
        string folder,
        bool isFolder,
        IReadOnlySet<string> shared,
        List<AssemblyHeader> candidates,
        ICollection<RefusedPlugin> refusals,
        ICollection<string> warnings)
    {
        List<AssemblyHeader> headers = [];
        List<RefusedPlugin> broken = [];
        List<string> copies = [];
        foreach (string path in Directory.EnumerateFiles(folder, "*.dll").Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileNameWithoutExtension(path);
            if (shared.Contains(name) || name == HostAssemblies.ContractName)
            {
                copies.Add(path);
            }
            else if (name.EndsWith(".resources", StringComparison.OrdinalIgnoreCase))
            {
                // Satellite assemblies hold texts only.
            }
            else if (AssemblyHeader.Read(path, out RefusedPlugin? refusal) is { } header)
            {
                headers.Add(header);
            }
            else
            {
                broken.Add(refusal!);
            }
        }

        AssemblyHeader[] exporting = [.. headers.Where(header => header.HasExports)];
        AssemblyHeader[] roots = Unreferenced(exporting, exporting);
        if (!isFolder || roots.Length == 0)
        {
            // Loose files have nothing in common, so each one that none needs must account for itself. A folder without
            // any export is a plug-in that went wrong: its own file is the one that has the folder's name, or that
            // nothing else there references.
            AssemblyHeader[] others = [.. Unreferenced(headers, headers).Except(exporting)];
            AssemblyHeader? named = isFolder
                ? others.FirstOrDefault(header => HasNameOf(header.Path, folder))
                : null;
            roots = [.. roots, .. named is null ? others : [named]];
        }

        candidates.AddRange(roots);
        foreach (RefusedPlugin refusal in broken)
        {
            if (isFolder && roots.Length > 0 && !HasNameOf(refusal.Path, folder))
            {
                warnings.Add($"{refusal} and is left alone; it lies in a plug-in's folder");
            }
            else
            {
                refusals.Add(refusal);
            }
        }

        foreach (string copy in copies)
        {
            warnings.Add(
                $"{copy}: the host shares its own {Path.GetFileNameWithoutExtension(copy)}; this copy is not used");
        }

        if (isFolder && headers.Count == 0 && broken.Count == 0)
        {
            warnings.Add($"{folder}: no assembly (*.dll) of a plug-in in this folder");
        }
    }

    private static bool HasNameOf(string path, string folder) => Path.GetFileNameWithoutExtension(path)
        .Equals(Path.GetFileName(folder), StringComparison.OrdinalIgnoreCase);

    private static AssemblyHeader[] Unreferenced(
        IReadOnlyCollection<AssemblyHeader> among, IReadOnlyCollection<AssemblyHeader> by)
    {
        HashSet<string> referenced = new(StringComparer.OrdinalIgnoreCase);
        foreach (AssemblyHeader header in by)
        {
            referenced.UnionWith(header.References.Select(reference => reference.Name ?? string.Empty));
        }

        AssemblyHeader[] free = [.. among.Where(header => !referenced.Contains(header.Name.Name ?? string.Empty))];

        // Files that reference each other in a ring would hide each other.
        return free.Length == 0 ? [.. among] : free;
    }
}
