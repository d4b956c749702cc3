// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Cli.Common;

/// <summary>Loads plug-ins and says what was refused.</summary>
internal static class Plugins
{
    /// <summary>Folder beside the executable that is searched by default.</summary>
    public static string DefaultDirectory => Path.Combine(AppContext.BaseDirectory, "drivers");

    public static PluginCatalog Load(IReadOnlyList<string> directories) =>
        PluginCatalog.Load(directories.Count > 0 ? directories : [DefaultDirectory]);

    /// <summary>One line on stderr for each plug-in that was refused.</summary>
    public static bool Report(PluginCatalog catalog, Terminal terminal, bool quiet)
    {
        foreach (RefusedPlugin refused in catalog.Refusals)
        {
            terminal.Say($"skipped {refused}");
        }

        foreach (string warning in quiet ? [] : catalog.Warnings)
        {
            terminal.Say($"note: {warning}");
        }

        return catalog.Refusals.Count > 0;
    }
}
