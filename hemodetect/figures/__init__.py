"""Figures for the pages: arrays and dataclasses in, Plotly figures out.

Text and lines are light, for the dark theme of a reading room. Draw with
``st.plotly_chart(figure, theme=None, config=CHART_CONFIG)``: Streamlit's own theme would replace
the colours, and Plotly's own settings offer to send the chart to its cloud. No colour carries a
meaning alone: families differ by dash and symbol too, and each shade has its number next to it.
"""
