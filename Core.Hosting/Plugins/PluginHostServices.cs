// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace PasidFramework.Hosting.Plugins;

/// <summary>What the host lends to plug-ins; they import it by its type.</summary>
public sealed record PluginHostServices
{
    /// <summary>Import as <see cref="ILoggerFactory"/>.</summary>
    public ILoggerFactory LoggerFactory { get; init; } = NullLoggerFactory.Instance;

    /// <summary>Import as <see cref="TimeProvider"/>.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
