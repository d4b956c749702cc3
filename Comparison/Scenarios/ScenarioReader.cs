// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;

namespace PasidFramework.Comparison.Scenarios;

/// <summary>
/// Reads a scenario file: JSON with comments, <c>schemaVersion</c> first. It is strict: what it does not know is an
/// error that names line and path, so that a misspelt key cannot change a comparison unseen.
/// </summary>
public static class ScenarioReader
{
    private const long MaxBytes = 16 << 20;
    private const long MaxMicroseconds = 1_000_000_000_000;

    /// <summary>Reads a scenario.</summary>
    /// <param name="source">The file's bytes.</param>
    /// <param name="file">The file as the user named it.</param>
    /// <returns>The scenario, or where it is wrong.</returns>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static InputResult<Scenario> Read(Stream source, string file)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(file);
        using var bytes = new MemoryStream();
        var buffer = new byte[1 << 16];
        int count;
        while ((count = source.Read(buffer)) > 0)
        {
            bytes.Write(buffer, 0, count);
            if (bytes.Length > MaxBytes)
            {
                return InputResult<Scenario>.Refuse(new InputError(file, 0, Text(
                    $"the file is larger than {MaxBytes} bytes; expected a scenario")));
            }
        }

        ReadOnlySpan<byte> utf8 = bytes.GetBuffer().AsSpan(0, (int)bytes.Length);
        try
        {
            return InputResult<Scenario>.Ok(Map(JsonTree.Parse(utf8), file, utf8));
        }
        catch (ScenarioException e)
        {
            return InputResult<Scenario>.Refuse(new InputError(file, e.Line, e.Message));
        }
    }

    private static Scenario Map(JsonTree root, string file, ReadOnlySpan<byte> utf8)
    {
        Members members = Members.Of(
            root, "schemaVersion", "name", "tenants", "exitBehaviour", "instances", "devices", "rules");
        if (root.Members.Count == 0 || root.Members[0].Name != "schemaVersion")
        {
            throw new ScenarioException(root.Line, "$: expected \"schemaVersion\": 1 as the first key");
        }

        members.Integer("schemaVersion", null, Scenario.SchemaVersion, Scenario.SchemaVersion);
        string name = members.Text("name", Path.GetFileNameWithoutExtension(file));
        int tenants = (int)members.Integer("tenants", 0, 0, 1_000_000);
        ExitBehaviour exit = members.Choice(
            "exitBehaviour",
            ExitBehaviour.ProcessExit,
            ("process-exit", ExitBehaviour.ProcessExit),
            ("unbind-first", ExitBehaviour.UnbindFirst));
        List<ScenarioInstance> instances = members.List("instances", 1, Instance);
        members.Unique("instances", instances.Select(i => i.Name), "name");
        List<ScenarioDevice> devices = members.List("devices", 1, d => Device(d, instances));
        members.Unique("devices", devices.Select(d => d.Name), "name");
        members.Unique("devices", devices.Select(d => $"{d.Instance} {d.Requester}"), "requesterId");
        int number = 0;
        List<ScenarioRule> rules = members.List("rules", 1, r => Rule(r, ++number, devices, tenants));
        members.Unique("rules", rules.Select(r => r.Name), "name");
        return new Scenario
        {
            File = Path.GetFileName(file),
            Sha256 = Convert.ToHexStringLower(SHA256.HashData(utf8)),
            Name = name,
            Tenants = tenants,
            ExitBehaviour = exit,
            Instances = instances,
            Devices = devices,
            Rules = rules,
        };
    }

    private static ScenarioInstance Instance(JsonTree value)
    {
        Members members = Members.Of(
            value, "name", "driver", "pasidBits", "coherent", "hardwareOptions", "options");
        var instance = new ScenarioInstance
        {
            Name = members.Text("name"),
            Driver = members.Text("driver"),
            PasidBits = (int)members.Integer("pasidBits", Pasid.MaxBits, 1, Pasid.MaxBits),
            IsCoherent = members.Flag("coherent", true),
            HardwareOptions = members.Settings("hardwareOptions"),
            Options = members.Settings("options"),
            Line = value.Line,
        };
        return instance;
    }

    private static ScenarioDevice Device(JsonTree value, List<ScenarioInstance> instances)
    {
        Members members = Members.Of(
            value,
            "name", "instance", "requesterId", "pasidBits", "firstPasid", "lastPasid", "ats", "pri", "domain");
        string name = members.Text("name");
        string instance = members.OneOf("instance", instances.Select(i => i.Name), "an instance");
        JsonTree requester = members.Take("requesterId")
            ?? throw members.Missing("requesterId", "a number such as \"00:04.0\" or \"0x20\"");
        if (requester.Type != JsonTokenType.String || !RequesterId.TryParse(requester.Text, out RequesterId id))
        {
            throw new ScenarioException(
                requester.Line,
                $"{requester.Path} is {requester.Shown}; expected a text such as \"00:04.0\" or \"0x20\"");
        }

        var device = new ScenarioDevice
        {
            Name = name,
            Instance = instance,
            Requester = id,
            Range = Range(members),
            Features = (members.Flag("ats", false) ? DeviceFeatures.Ats : DeviceFeatures.None)
                | (members.Flag("pri", false) ? DeviceFeatures.Pri : DeviceFeatures.None),
            Domain = members.Text("domain", name),
            Line = value.Line,
        };
        return device;
    }

    private static PasidRange Range(Members members)
    {
        bool hasBits = members.Has("pasidBits");
        bool hasRange = members.Has("firstPasid") || members.Has("lastPasid");
        if (hasBits == hasRange)
        {
            throw members.Missing("pasidBits", "either pasidBits, or firstPasid and lastPasid");
        }

        if (hasBits)
        {
            return PasidRange.OfWidth((int)members.Integer("pasidBits", null, 1, Pasid.MaxBits));
        }

        uint first = (uint)members.Integer("firstPasid", null, 0, Pasid.MaxValue);
        return new PasidRange(first, (uint)members.Integer("lastPasid", null, first, Pasid.MaxValue));
    }

    private static ScenarioRule Rule(JsonTree value, int number, List<ScenarioDevice> devices, int tenants)
    {
        Members members = Members.Of(
            value, "name", "match", "devices", "delayMicroseconds", "stepMicroseconds", "holdMicroseconds");
        string name = members.Text("name", Text($"rule{number}"));
        List<string> used = members.Names("devices", devices.Select(d => d.Name), "a device");
        members.Unique("devices", used);
        var rule = new ScenarioRule
        {
            Name = name,
            Devices = used,
            DelayMicroseconds = members.Integer("delayMicroseconds", 0, 0, MaxMicroseconds),
            StepMicroseconds = members.Integer("stepMicroseconds", 0, 0, MaxMicroseconds),
            HoldMicroseconds = members.Has("holdMicroseconds")
                ? members.Integer("holdMicroseconds", null, 0, MaxMicroseconds)
                : null,
        };
        if (members.Take("match") is { } match)
        {
            Members keys = Members.Of(match, "name", "began", "fraction", "tenant");
            rule = rule with
            {
                NameGlobs = keys.Has("name") ? keys.Names("name", null, "a name") : rule.NameGlobs,
                Began = keys.Has("began")
                    ? keys.Choices(
                        "began", ("fork", LifeBegin.Fork), ("exec", LifeBegin.Exec), ("before", LifeBegin.Before))
                    : rule.Began,
                Fraction = keys.Fraction("fraction", 1),
                Tenant = keys.Has("tenant") ? (int)keys.Integer("tenant", null, 0, tenants - 1) : null,
            };
        }

        return rule;
    }

    /// <summary>The members of one object, all of them known.</summary>
    private sealed class Members
    {
        private readonly JsonTree _object;
        private Members(JsonTree value) => _object = value;

        public static Members Of(JsonTree value, params ReadOnlySpan<string> known)
        {
            if (value.Type != JsonTokenType.StartObject)
            {
                throw new ScenarioException(value.Line, $"{value.Path} is {value.Shown}; expected an object");
            }

            foreach ((string name, int line, _) in value.Members)
            {
                if (!known.Contains(name))
                {
                    throw new ScenarioException(
                        line, $"{value.Path}.{name} is unknown; expected one of {string.Join(", ", known!)}");
                }
            }

            return new Members(value);
        }

        public bool Has(string name) => _object.Members.Exists(m => m.Name == name);
        public JsonTree? Take(string name) => _object.Members.Find(m => m.Name == name).Value;

        public ScenarioException Missing(string name, string expected) =>
            new(_object.Line, $"{_object.Path}.{name} is missing; expected {expected}");

        public string Text(string name, string? otherwise = null)
        {
            JsonTree? value = Take(name);
            if (value is null)
            {
                return otherwise ?? throw Missing(name, "a text");
            }

            return value.Type == JsonTokenType.String && value.Text.Length > 0
                ? value.Text
                : throw Wrong(value, "a text that is not empty");
        }

        public bool Flag(string name, bool otherwise) => Take(name) switch
        {
            null => otherwise,
            { Type: JsonTokenType.True } => true,
            { Type: JsonTokenType.False } => false,
            { } value => throw Wrong(value, "true or false"),
        };

        public long Integer(string name, long? otherwise, long first, long last)
        {
            string limit = first == last
                ? first.ToString(CultureInfo.InvariantCulture)
                : InvariantText.Text($"a whole number, {first} to {last}");
            if (last < first)
            {
                limit = "none, as the scenario has no tenants";
            }

            JsonTree? value = Take(name);
            if (value is null)
            {
                return otherwise ?? throw Missing(name, limit);
            }

            return value.Type == JsonTokenType.Number
                && long.TryParse(
                    value.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
                && number >= first && number <= last
                ? number
                : throw Wrong(value, limit);
        }

        public double Fraction(string name, double otherwise)
        {
            JsonTree? value = Take(name);
            if (value is null)
            {
                return otherwise;
            }

            return value.Type == JsonTokenType.Number
                && double.TryParse(value.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
                && number is >= 0 and <= 1
                ? number
                : throw Wrong(value, "a number, 0 to 1");
        }

        public T Choice<T>(string name, T otherwise, params (string Text, T Value)[] choices) =>
            Take(name) is { } value ? Chosen(value, choices) : otherwise;

        /// <summary>One of the choices, or a list of them.</summary>
        public List<T> Choices<T>(string name, params (string Text, T Value)[] choices) =>
            [.. OneOrMore(name).Select(v => Chosen(v, choices))];

        public string OneOf(string name, IEnumerable<string> known, string what)
        {
            JsonTree value = Take(name) ?? throw Missing(name, $"the name of {what}");
            return Known(value, known, what);
        }

        /// <summary>One name, or a list of names; of a set where it is given.</summary>
        public List<string> Names(string name, IEnumerable<string>? known, string what) =>
            [.. OneOrMore(name).Select(v => Known(v, known, what))];

        public Dictionary<string, string> Settings(string name)
        {
            var settings = new Dictionary<string, string>(StringComparer.Ordinal);
            JsonTree? value = Take(name);
            if (value is null)
            {
                return settings;
            }

            if (value.Type != JsonTokenType.StartObject)
            {
                throw Wrong(value, "an object of names and values");
            }

            foreach ((string key, _, JsonTree setting) in value.Members)
            {
                settings[key] = setting.Type switch
                {
                    JsonTokenType.String or JsonTokenType.Number => setting.Text,
                    JsonTokenType.True => "true",
                    JsonTokenType.False => "false",
                    _ => throw Wrong(setting, "a text, a number, true or false"),
                };
            }

            return settings;
        }

        public List<T> List<T>(string name, int atLeast, Func<JsonTree, T> map)
        {
            JsonTree value = Take(name) ?? throw Missing(name, "a list");
            return value.Type == JsonTokenType.StartArray && value.Items.Count >= atLeast
                ? [.. value.Items.Select(map)]
                : throw Wrong(value, atLeast == 0 ? "a list" : "a list that is not empty");
        }

        public void Unique(string list, IEnumerable<string> values, string? key = null)
        {
            var seen = new HashSet<string>(StringComparer.Ordinal);
            int index = 0;
            foreach (string value in values)
            {
                if (!seen.Add(value))
                {
                    JsonTree item = Take(list)!.Items[index];
                    throw new ScenarioException(
                        item.Line, $"{item.Path}{(key is null ? string.Empty : "." + key)}: \"{value}\" is there "
                            + $"twice; expected it once");
                }

                index++;
            }
        }

        private static ScenarioException Wrong(JsonTree value, string expected) =>
            new(value.Line, $"{value.Path} is {value.Shown}; expected {expected}");

        private static T Chosen<T>(JsonTree value, (string Text, T Value)[] choices)
        {
            foreach ((string text, T choice) in choices)
            {
                if (value.Type == JsonTokenType.String && value.Text == text)
                {
                    return choice;
                }
            }

            throw Wrong(value, $"one of {string.Join(", ", choices.Select(c => c.Text))}");
        }

        private static string Known(JsonTree value, IEnumerable<string>? known, string what)
        {
            if (value.Type != JsonTokenType.String || value.Text.Length == 0)
            {
                throw Wrong(value, $"the name of {what}");
            }

            return known is null || known.Contains(value.Text, StringComparer.Ordinal)
                ? value.Text
                : throw Wrong(value, $"the name of {what}: {string.Join(", ", known)}");
        }

        private List<JsonTree> OneOrMore(string name)
        {
            JsonTree value = Take(name) ?? throw Missing(name, "a name or a list of names");
            if (value.Type != JsonTokenType.StartArray)
            {
                return [value];
            }

            return value.Items.Count > 0 ? value.Items : throw Wrong(value, "a list that is not empty");
        }
    }
}
