// SPDX-License-Identifier: Apache-2.0
using System.Collections;

namespace PasidFramework.Hosting.Options;

/// <summary>Where the configuration comes from, from the weakest source to the strongest.</summary>
public sealed record PasidConfigurationSources
{
    /// <summary>Folder whose <c>appsettings.json</c> is read where there is one; the executable's by default.</summary>
    public string BaseDirectory { get; init; } = AppContext.BaseDirectory;

    /// <summary>A further JSON file, which must exist; null for none.</summary>
    public string? JsonFile { get; init; }

    /// <summary>
    /// Environment variables; those that start with <see cref="PasidConfiguration.EnvironmentPrefix"/> count, with two
    /// underscores for a colon. The process's own by default.
    /// </summary>
    public IDictionary Environment { get; init; } = System.Environment.GetEnvironmentVariables();

    /// <summary><c>KEY=VALUE</c> pairs of the command line, such as <c>Pasid:First=16</c>; the last of one key
    /// wins.</summary>
    public IReadOnlyList<string> Pairs { get; init; } = [];
}
