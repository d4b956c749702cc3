// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace PasidFramework.Contracts;

/// <summary>What a driver gets to start one unit.</summary>
public sealed record UnitSetup
{
    /// <summary>Name of the unit in messages, such as <c>dmar0</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The hardware it drives.</summary>
    public required IIommuHardware Hardware { get; init; }

    /// <summary>Upper limit for the PASID width in bits, 1 to 20; the hardware's own limit applies as well.</summary>
    public int PasidBits { get; init; } = Pasid.MaxBits;

    /// <summary>Vendor-specific settings by name; an unknown name or value is EINVAL.</summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();

    /// <summary>Where the unit may log.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
