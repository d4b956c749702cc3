// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.TestKit;

/// <summary>One thing that a broken driver does otherwise, named by the position in its sequence of actions.</summary>
public abstract record Mutation
{
    /// <summary>The flush of that number, from 0, does not happen.</summary>
    public sealed record DropFlush(int Number) : Mutation;

    /// <summary>The barrier of that number does not happen.</summary>
    public sealed record DropBarrier(int Number) : Mutation;

    /// <summary>The store of that number does not happen.</summary>
    public sealed record DropStore(int Number) : Mutation;

    /// <summary>The store of that number happens right after the next one.</summary>
    public sealed record SwapStores(int Number) : Mutation;

    /// <summary>The store of that number happens right after the later one of number <c>After</c>.</summary>
    public sealed record DelayStore(int Number, int After) : Mutation;

    /// <summary>The stores of these numbers store something else: another id in a command, or a command that does
    /// nothing.</summary>
    public sealed record ReplaceStores(string What, IReadOnlyDictionary<int, ulong> Values) : Mutation
    {
        public override string ToString() => What;
    }

    public override string ToString() => this switch
    {
        DropFlush m => Text($"drop flush {m.Number}"),
        DropBarrier m => Text($"drop barrier {m.Number}"),
        DropStore m => Text($"drop store {m.Number}"),
        SwapStores m => Text($"swap stores {m.Number} and {m.Number + 1}"),
        DelayStore m => Text($"delay store {m.Number} until after {m.After}"),
        _ => GetType().Name,
    };
}
