// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Traces;

/// <summary>How an address space ended.</summary>
public enum LifeEnd
{
    /// <summary>The last task of its process exited.</summary>
    Exit,

    /// <summary>Its process executed another program.</summary>
    Exec,

    /// <summary>It was alive when the recording ended.</summary>
    TraceEnd,

    /// <summary>Its exit is missing in the recording: its process id was given to a new task at this time.</summary>
    Lost,
}
