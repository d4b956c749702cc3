// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Measuring;

/// <summary>
/// What is measured: taking something and giving it back. A struct, so that the loops are compiled for it and call it
/// directly.
/// </summary>
internal interface IWork<TSelf>
    where TSelf : struct, IWork<TSelf>
{
    /// <summary>Takes one.</summary>
    /// <returns>Its number, below 2^20; -1 where none is free at this moment.</returns>
    int Take();

    /// <summary>Gives one back.</summary>
    void Give(int item);

    /// <summary>The same work as a thread does it that is not the first.</summary>
    /// <param name="thread">From 0.</param>
    TSelf ForThread(int thread);

    /// <summary>Whether a thread may give back only what it took itself.</summary>
    bool HasOwnItems => false;
}
