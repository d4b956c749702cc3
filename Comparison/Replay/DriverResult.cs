// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Replay;

/// <summary>What one driver did in a run, all of its units together.</summary>
public sealed record DriverResult
{
    /// <summary>Name of the driver.</summary>
    public required string Name { get; init; }

    /// <summary>Most bytes in PASID tables after any call.</summary>
    public long TableBytesPeak { get; init; }

    /// <summary>Bytes in PASID tables after the last process ended.</summary>
    public long TableBytesFinal { get; init; }

    /// <summary>Commands of unbinds and exits.</summary>
    public long Commands { get; init; }

    /// <summary>Commands of binds, refused ones included.</summary>
    public long CommandsBind { get; init; }

    /// <summary>Commands until the system stood.</summary>
    public long CommandsSetup { get; init; }

    /// <summary>All of these together.</summary>
    public long CommandsTotal => Commands + CommandsBind + CommandsSetup;

    /// <summary>Bindings made.</summary>
    public int Binds { get; init; }

    /// <summary>Bindings ended, by whatever cause.</summary>
    public int Unbinds { get; init; }

    /// <summary>Binds and unbinds refused.</summary>
    public int Failures { get; init; }

    /// <summary><see cref="Commands"/> by <see cref="Unbinds"/>, to four digits; 0 where there were none.</summary>
    public double CommandsPerUnbind => Unbinds == 0 ? 0 : Math.Round((double)Commands / Unbinds, 4);
}
