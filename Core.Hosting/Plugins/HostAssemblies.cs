// SPDX-License-Identifier: Apache-2.0
using System.Collections.Frozen;

namespace PasidFramework.Hosting.Plugins;

/// <summary>What the host has to offer to a plug-in's references.</summary>
internal sealed class HostAssemblies
{
    /// <summary>
    /// Assemblies whose types appear in the contract, and what those need. A plug-in always gets the host's: a second
    /// copy would be another type of the same name, and composition would find nothing without saying so.
    /// </summary>
    public static readonly FrozenSet<string> DefaultShared = FrozenSet.ToFrozenSet(
        [
            ContractName,
            "System.Composition.AttributedModel",
            "Microsoft.Extensions.Options",
            "Microsoft.Extensions.Logging.Abstractions",
            "Microsoft.Extensions.Primitives",
            "Microsoft.Extensions.DependencyInjection.Abstractions",
        ],
        StringComparer.OrdinalIgnoreCase);

    public const string ContractName = "PasidFramework.Core";

    private readonly Dictionary<string, string> _paths = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, Version?> _versions = new(StringComparer.OrdinalIgnoreCase);

    public HostAssemblies(IReadOnlySet<string> shared)
    {
        Shared = shared;
        string trusted = AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES") as string ?? string.Empty;
        foreach (string path in trusted.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
        {
            _paths.TryAdd(Path.GetFileNameWithoutExtension(path), path);
        }

        // A host that was not started by the usual launcher may lack the list; what it has loaded is there all the
        // same.
        foreach (
            Type known in (Type[])[typeof(object), typeof(IPasidDriver), typeof(System.Composition.ExportAttribute)])
        {
            string location = known.Assembly.Location;
            if (location.Length != 0)
            {
                _paths[known.Assembly.GetName().Name!] = location;
            }
        }
    }

    public IReadOnlySet<string> Shared { get; }
    public static Version ContractAssemblyVersion { get; } = typeof(IPasidDriver).Assembly.GetName().Version!;
    public string? Find(string simpleName) => _paths.GetValueOrDefault(simpleName);

    /// <summary>Version of an assembly of the host; null where it cannot be read.</summary>
    public Version? VersionOf(string simpleName)
    {
        if (!_versions.TryGetValue(simpleName, out Version? version))
        {
            version = _paths.TryGetValue(simpleName, out string? path)
                ? AssemblyHeader.Read(path, out _)?.Name.Version
                : null;
            _versions[simpleName] = version;
        }

        return version;
    }
}
